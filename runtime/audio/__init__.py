"""Sound: the player, and the seam to the device that it plays on."""
