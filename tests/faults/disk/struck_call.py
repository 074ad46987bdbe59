"""Does a thing in a forked process while strace strikes one of its system calls: killed just before it, or failed.

The process is attached to after the fork, so that nothing but the thing itself is counted.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    *("open", "openat", "creat", "read", "pread64", "write", "pwrite64", "writev", "pwritev", "close"),
    *("fsync", "fdatasync", "ftruncate", "truncate", "fallocate", "fchmod", "chmod", "fchmodat"),
    *("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"),
)
"""What reads, makes, writes, moves or removes a file; what this machine does not have is passed over."""
READING = ("read", "pread64", "close")
_KILLED = 9
_REPORT_BYTES = 1 << 16


class CannotTraceError(Exception):
    """strace is missing, or may not attach; says why."""


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Attributes:
        killed: by the strike.
        told: what the thing returned, or its error as `Type: message`; empty when it was killed.
        failed: whether it raised.
    """

    killed: bool
    told: str = ""
    failed: bool = False


def struck(act: Callable[[], str], strike: str = "", log: Path = Path("/dev/null")) -> Outcome:
    """Do a thing in a process of its own, under strace.

    Args:
        act: the thing; returns what it has to tell.
        strike: an `inject` expression of strace; empty strikes nothing.
        log: where strace writes what it saw.

    Raises:
        CannotTraceError: strace cannot.
    """
    if shutil.which("strace") is None:
        raise CannotTraceError("strace is not installed; type: sudo apt-get install strace")
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        here.close()
        # Sockets alone: no call of theirs is among those that are struck.
        there.recv(1)
        _report(act, there)
    there.close()
    command = ["strace", "-f", "-o", str(log), "-e", "trace=" + ",".join(f"?{call}" for call in CALLS)]
    command += ["-e", f"inject={strike}"] if strike else []
    tracer = subprocess.Popen([*command, "-p", str(child)], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    with here:
        if "attached" not in said:
            tracer.communicate()
            os.kill(child, _KILLED)
            os.waitpid(child, 0)
            raise CannotTraceError(f"strace may not attach to a process here: {said.strip()}")
        here.send(b"!")
        told = b""
        while piece := here.recv(_REPORT_BYTES):
            told += piece
    _, status = os.waitpid(child, 0)
    tracer.communicate()
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == _KILLED, f"ended by signal {os.WTERMSIG(status)}"
        return Outcome(killed=True)
    return Outcome(killed=False, told=told.decode(), failed=os.waitstatus_to_exitcode(status) != 0)


def calls_of(act: Callable[[], str]) -> Counter[str]:
    """How often a thing makes each call."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        outcome = struck(act, log=log)
        assert not outcome.failed, outcome.told
        return Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE))


def _report(act: Callable[[], str], to: socket.socket) -> None:
    """In the child: never returns."""
    code = 0
    try:
        told = act()
    except BaseException as error:  # noqa: BLE001 (it is told to the test, whatever it is)
        told, code = f"{type(error).__name__}: {error}", 1
    to.sendall(told.encode())
    os._exit(code)
