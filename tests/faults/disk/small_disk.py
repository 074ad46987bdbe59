"""A disk of 16 MB over a room's data folder, which can be full, read-only, or fail at what is written to two files."""

from __future__ import annotations

import signal
import subprocess

from broker import DEADLINE_S
from closed_room import ClosedRoom, Run

_SIZE = "16m"
# What writes a database, and makes sure of it and of a folder.
_FAILING = "pwrite64,fsync,fdatasync"


class SmallDisk:
    """The disk: a tmpfs in the room's mounts; `path` is the way to it from outside."""

    def __init__(self, room: ClosedRoom) -> None:
        self._room = room
        kept = {name: (room.data / name).resolve() for name in ("models", "starter-music")}
        self._do("mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(room.data))
        for name, target in kept.items():
            self._do("ln", "-s", str(target), str(room.data / name))
        self.cache = room.data / "cache"
        self._do("mkdir", str(self.cache))
        self._tracer: subprocess.Popen[str] | None = None

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is none."""
        done = subprocess.run(self._room.enter(["cat", str(self._room.data / name)]), capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None

    def names(self) -> list[str]:
        """What stands on it."""
        done = subprocess.run(self._room.enter(["ls", "-A", str(self._room.data)]), capture_output=True, check=True)
        return done.stdout.decode().split()

    def strike(self, kind: str, run: Run | None) -> None:
        """Have it fail: `full`, `read-only` or, for a run that is under way, `failing`."""
        filler = str(self._room.data / "filler")
        if kind == "full":
            command = self._room.enter(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"])
            subprocess.run(command, capture_output=True, check=False)
        elif kind == "read-only":
            # Over the first mount: that one cannot change while the run holds its lock open. The kernel itself can.
            data = str(self._room.data)
            self._do("mount", "--bind", data, data)
            self._do("mount", "-o", "remount,bind,ro", data)
        else:
            assert run is not None
            self._trace(run)

    def heal(self, kind: str) -> None:
        """Have it well again."""
        if kind == "full":
            self._do("rm", str(self._room.data / "filler"))
        elif kind == "read-only":
            self._do("umount", "--lazy", str(self._room.data))
        elif self._tracer is not None:
            self._tracer.send_signal(signal.SIGTERM)
            self._tracer.communicate(timeout=DEADLINE_S)

    def _trace(self, run: Run) -> None:
        # The folder too, which is synced behind each new file: those are written under names nobody knows before.
        files = [self._room.data, *(self._room.data / name for name in ("likes.sqlite", "likes.sqlite-journal"))]
        paths = [part for file in files for part in ("-P", str(file))]
        command = ["strace", "-f", "-o", "/dev/null", *paths, "-e", f"trace={_FAILING}"]
        command += ["-e", f"inject={_FAILING}:error=EIO", "-p", str(run.pid)]
        self._tracer = subprocess.Popen(self._room.enter(command), stderr=subprocess.PIPE, text=True)
        assert self._tracer.stderr is not None
        # All threads are attached to before it says so.
        assert "attached" in self._tracer.stderr.readline()

    def _do(self, *command: str) -> None:
        subprocess.run(self._room.enter(command), check=True)
