"""Many devices on one broker: who is there, how each one is, and one command for many of them."""
