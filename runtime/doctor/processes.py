"""Which processes are of this program, and which of any program hold a file open, out of /proc."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_PROGRAM = "emomusic-edge"
_MODULE = "emomusic_edge"
# Commands that take the camera or the node's name for as long as they run.
_RUNNING = frozenset({"run", "demo"})


@dataclass(frozen=True, slots=True)
class Process:
    """A process.

    Attributes:
        pid: its number.
        uid: whose it is.
        words: its command line.
        of_run: whether it is a run of this program, or one that such a run started.
    """

    pid: int
    uid: int
    words: tuple[str, ...]
    of_run: bool = False

    @property
    def program(self) -> str:
        """What people call it."""
        return Path(self.words[0]).name if self.words else "a process without a name"


def is_run(words: tuple[str, ...]) -> bool:
    """Whether a command line is that of a run; `sudo emomusic-edge run` is sudo's, and its child the run."""
    first = Path(words[0]).name if words else ""
    if not first.startswith(("python", _PROGRAM)):
        return False
    for place, word in enumerate(words):
        ours = Path(word).name == _PROGRAM or word.endswith(f"/{_MODULE}/__main__.py")
        if ours or (word == _MODULE and words[place - 1] == "-m"):
            return bool(_RUNNING.intersection(words[place + 1 :]))
    return False


def runs(proc: Path = PROC) -> list[Process]:
    """The runs of this program on this machine, lowest process number first; what a run started is not counted."""
    table = _table(proc)
    return [
        Process(pid, entry.uid, entry.words, of_run=True)
        for pid, entry in table.items()
        if is_run(entry.words) and not _of_run(entry.parent, table)
    ]


def holders(path: Path, proc: Path = PROC) -> list[Process]:
    """Who has a file open, as far as this user may see it; this process aside."""
    real = os.path.realpath(path)
    table = _table(proc)
    return [
        Process(pid, entry.uid, entry.words, _of_run(pid, table))
        for pid, entry in table.items()
        if pid != os.getpid() and _holds(proc / str(pid), real)
    ]


@dataclass(frozen=True, slots=True)
class _Entry:
    parent: int
    uid: int
    words: tuple[str, ...]


def _table(proc: Path) -> dict[int, _Entry]:
    table = {}
    for pid in sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdecimal()):
        folder = proc / str(pid)
        try:
            words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            # proc(5): after the program's name in brackets come its state and its parent.
            parent = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            uid = folder.stat().st_uid
        except (OSError, ValueError, IndexError):
            continue  # it has ended meanwhile
        table[pid] = _Entry(parent, uid, tuple(word.decode(errors="replace") for word in words if word))
    return table


def _of_run(pid: int, table: Mapping[int, _Entry]) -> bool:
    """Whether a process or one of those above it is a run."""
    seen: set[int] = set()
    while pid in table and pid not in seen:
        if is_run(table[pid].words):
            return True
        seen.add(pid)
        pid = table[pid].parent
    return False


def _holds(folder: Path, real: str) -> bool:
    try:
        return any(_target(descriptor) == real for descriptor in (folder / "fd").iterdir())
    except OSError:
        return False


def _target(descriptor: Path) -> str | None:
    try:
        return os.readlink(descriptor)  # noqa: PTH115 (a Path would have it resolved)
    except OSError:
        return None
