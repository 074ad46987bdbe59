"""A command run without this terminal as its own: what runs as another user cannot type into root's shell."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from types import FrameType

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_apart(argv: Sequence[str]) -> int:
    """Run a command in a session of its own, from the root folder: another user may not enter the one typed in.

    It reads and writes the same terminal, but the terminal does not belong to it, so the kernel refuses TIOCSTI (input
    that is put in as if it had been typed). Ctrl-C and its like, which then reach this process alone, are passed on.

    Returns:
        Its exit code; 128 and the number of the signal that ended it, as shells tell it.

    Raises:
        OSError: it cannot be run.
    """
    process = subprocess.Popen(argv, cwd="/", start_new_session=True)

    def pass_on(number: int, _: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    before = {
        number: signal.signal(number, pass_on)
        for number in _PASSED_ON
        # Under nohup that is so on purpose.
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
