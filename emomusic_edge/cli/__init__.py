"""The `emomusic-edge` command. Sub-commands import what they need when they run, so that `--help` is quick."""


def main() -> None:
    """Entry point of the console script."""
