"""`python -m emomusic_edge` is the `emomusic-edge` command."""

from emomusic_edge.cli import main

if __name__ == "__main__":
    main()
