"""A run of the whole program that faults are done to: its process, camera, sound, broker and what systemd hears."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from broker import Broker, Listener
from file_camera import FileCamera, preload
from numpy.typing import NDArray
from own_layout import own_layout

from emomusic_edge.paths import DataLayout

_PROGRAM = Path(__file__).with_name("faulty_run.py")
PICTURE_MS = 66
SAMPLE_RATE_HZ = 44_100
LONG_S = 60.0
"""A deadline that only a broken test reaches."""
NODE = "room"


def eventually(true: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < deadline_s, f"waited {LONG_S:g} s for {what}"
        time.sleep(0.005)


class FreezableBroker(Broker):
    """A broker that can be stopped where it stands."""

    @property
    def running(self) -> bool:
        return self._process is not None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)


@dataclass
class House:
    """What outlives a run: the folder, the data folder, the camera, the broker and one who listens there."""

    folder: Path
    layout: DataLayout
    camera: FileCamera
    broker: FreezableBroker
    listener: Listener
    runs: int = 0

    def run(self, *arguments: str, before: Sequence[str] = (), data: Path | None = None, **environment: str) -> Run:
        """Start a run; `before` is for faulty_run.py."""
        self.runs += 1
        return Run(self, arguments, before, data or self.layout.root, environment)

    def topic(self, name: str) -> str:
        return f"emomusic/{NODE}/{name}"

    def count(self, name: str) -> int:
        return len(self.listener.all(self.topic(name)))

    def told(self, name: str, since: int) -> list[dict[str, object]]:
        return [heard.json for heard in self.listener.all(self.topic(name))[since:] if heard.payload]


@contextlib.contextmanager
def housed(folder: Path, layout: DataLayout) -> Iterator[House]:
    """A house with its broker."""
    camera = FileCamera(folder)
    camera.play(period_ms=PICTURE_MS)
    (folder / "broker").mkdir()
    broker = FreezableBroker(folder / "broker")
    broker.start()
    try:
        with Listener(broker) as listener:
            yield House(folder, own_layout(layout, folder / "data"), camera, broker, listener)
    finally:
        broker.stop()


@dataclass
class Run:
    """One process."""

    house: House
    arguments: Sequence[str]
    before: Sequence[str]
    data: Path
    environment: dict[str, str]
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        house, number = self.house, self.house.runs
        base = house.folder / f"run-{number}"
        base.mkdir()
        self.sound_file, self.log_file, self.orders = base / "sound.raw", base / "log", base / "orders"
        os.mkfifo(self.orders)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(base / "notify"))
        self._notify.setblocking(False)
        line = [sys.executable, str(_PROGRAM), str(house.camera.device), str(self.orders), *self.before]
        line += ["--source", str(house.camera.device), "--set", f"paths.data_dir={self.data}"]
        line += ["--set", f"mqtt.port={house.broker.port}", "--set", "mqtt.host=127.0.0.1"]
        line += ["--set", f"mqtt.node={NODE}", *self.arguments]
        environment = {
            **os.environ,
            "LD_PRELOAD": preload(house.camera),
            "SDL_AUDIODRIVER": "disk",
            "SDL_DISKAUDIOFILE": str(self.sound_file),
            "NOTIFY_SOCKET": str(base / "notify"),
            "WATCHDOG_USEC": "1500000",
            **self.environment,
        }
        self.state_before, self.availability_before = house.count("state"), house.count("availability")
        self.started_s = time.monotonic()
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(line, stdout=log, stderr=log, env=environment)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def heard(self) -> list[str]:
        """What systemd has been told since the last call."""
        words = []
        with contextlib.suppress(BlockingIOError):
            while True:
                words.append(self._notify.recv(4096).decode())
        return words

    def order(self, **order: object) -> None:
        with self.orders.open("w", encoding="utf-8") as line:
            line.write(json.dumps(order) + "\n")

    def playing(self) -> Run:
        """Wait until it sees, plays and is told about."""
        self.states(1, since=self.state_before)
        self.sounds(0.5, since=0)
        return self

    def states(self, count: int, *, since: int | None = None) -> None:
        """Wait for states of new frames."""
        seen = self.house.count("state") if since is None else since
        eventually(
            lambda: self.over() or sum(bool(one.get("sources")) for one in self.house.told("state", seen)) >= count,
            f"states: {self.log[-2000:]}",
        )
        assert not self.over(), self.log

    def over(self) -> bool:
        return self.process.poll() is not None

    def sounds(self, seconds: float, *, since: int | None = None) -> None:
        """Wait until so much more has sounded, and not as silence."""
        before = self.sound_bytes() if since is None else since
        eventually(
            lambda: self.over() or self.sound_bytes() - before >= 4 * SAMPLE_RATE_HZ * seconds, "sound to be played"
        )
        assert not self.over(), self.log

    def sound_bytes(self) -> int:
        return self.sound_file.stat().st_size // 4 * 4 if self.sound_file.exists() else 0

    def sound(self) -> NDArray[np.int16]:
        """All that sounded: [frames, 2]."""
        data = self.sound_file.read_bytes()
        return np.frombuffer(data[: len(data) // 4 * 4], np.int16).reshape(-1, 2)

    def children(self) -> set[int]:
        """The processes that it started."""
        found = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ValueError):
                if int(stat.read_text(errors="replace").rpartition(")")[2].split()[1]) == self.pid:
                    found.add(int(stat.parent.name))
        return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Send a signal and wait for the end; returns the seconds that it took."""
        began_s = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(LONG_S)
        return time.monotonic() - began_s

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
            self.process.kill()
            self.process.wait(LONG_S)
        self._notify.close()
