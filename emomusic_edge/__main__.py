"""Where the process begins: `emomusic-edge`, or `python -m emomusic_edge`.

Nothing heavy is imported before `run` and `demo` can be asked to stop.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

GO_ON = ("run", "demo")
"""Commands that go on until they are asked to stop: for them SIGTERM is no failure."""


def main() -> NoReturn:
    """Run the command line of the process.

    Raises:
        SystemExit: always.
    """
    if goes_on(sys.argv[1:]):
        signal.signal(signal.SIGTERM, _end_at_once)
    # Only now: these imports take longer than all that came before.
    from emomusic_edge.cli import main as command_line

    command_line()


def goes_on(arguments: Sequence[str]) -> bool:
    """Whether a command line, without the program's name, calls one of `GO_ON`."""
    return next((word for word in arguments if not word.startswith("-")), "") in GO_ON


def _end_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    # Nothing sounds and nobody was told anything until a session takes the signal over. No exception: one that is
    # raised in the midst of an import may be caught there, and is lost.
    os._exit(0)


if __name__ == "__main__":
    main()
