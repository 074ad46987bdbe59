"""Holds the peers and our own models against each other: one worker process each, in turns, one busy at a time."""
