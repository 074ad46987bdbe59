"""A checkpoint file becomes a network: read without running anything, unwrapped, its sizes read off its shapes."""
