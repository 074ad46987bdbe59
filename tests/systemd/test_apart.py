"""What runs as another user has no terminal to type into, and is stopped as if it had."""

from __future__ import annotations

import os
import pty
import signal
import sys
import textwrap
import time
from pathlib import Path

import pytest

from emomusic_edge.installation.apart import run_apart

_WAIT_S = 60.0


def test_its_exit_code_is_passed_on() -> None:
    assert run_apart(["/bin/sh", "-c", "exit 7"]) == 7
    assert run_apart(["/bin/sh", "-c", "kill -TERM $$"]) == 128 + signal.SIGTERM
    with pytest.raises(FileNotFoundError):
        run_apart(["/no/such/program"])


def _on_a_terminal(code: str) -> tuple[int, int]:
    """Run Python on a terminal of its own; the process and the other end of the terminal."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", textwrap.dedent(code)])
    return process, terminal


def _read_until(terminal: int, word: str) -> str:
    told, end = "", time.monotonic() + _WAIT_S
    while word not in told and time.monotonic() < end:
        try:
            told += os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            break
    assert word in told, told
    return told


@pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="no terminals here")
def test_the_terminal_is_not_its_own_and_yet_it_reads_and_writes_there() -> None:
    """Without a controlling terminal the kernel refuses TIOCSTI to all but root, tty_ioctl(4)."""
    process, terminal = _on_a_terminal(
        """
        from emomusic_edge.installation.apart import run_apart
        line = 'test -t 1 && echo "a terminal"; read word; echo "heard $word"; (: </dev/tty) 2>&1 && echo "it is mine"'
        run_apart(["/bin/sh", "-c", line])
        print("end of", "all")
        """
    )
    _read_until(terminal, "a terminal")
    os.write(terminal, b"hello\n")
    told = _read_until(terminal, "end of all")
    assert "heard hello" in told
    assert "it is mine" not in told
    os.waitpid(process, 0)
    os.close(terminal)


@pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="no terminals here")
def test_ctrl_c_reaches_it_and_its_answer_is_waited_for() -> None:
    process, terminal = _on_a_terminal(
        """
        from emomusic_edge.installation.apart import run_apart
        line = "trap 'echo stopped; exit 3' INT; echo ready; while :; do sleep 0.05; done"
        print("code", run_apart(["/bin/sh", "-c", line]))
        """
    )
    _read_until(terminal, "ready")
    os.write(terminal, b"\x03")
    told = _read_until(terminal, "code")
    assert "stopped" in told
    os.waitpid(process, 0)
    os.close(terminal)
