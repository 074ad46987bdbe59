"""A mosquitto on a free loopback port, and the time at which the first state comes through it."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from side_by_side.worker_process import PeerError

_DEADLINE_S = 10.0
_END_S = 5.0


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Its port; it keeps nothing on disk.

    Raises:
        PeerError: mosquitto is not installed or does not start.
    """
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        raise PeerError("mosquitto is not installed: make broker")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = folder / "mosquitto.conf"
    # As root it would drop to a user who cannot read the folder.
    lines = (f"user {getpass.getuser()}", "persistence false", f"listener {port} 127.0.0.1", "allow_anonymous true")
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
    try:
        end_s = time.monotonic() + _DEADLINE_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end_s:
                raise PeerError("mosquitto does not start")
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class StateWatch:
    """Notes when the first `state` message comes; a context manager."""

    def __init__(self, port: int, node: str) -> None:
        self._port = port
        self._subscribed = threading.Event()
        self._come = threading.Event()
        self.first_s: float | None = None
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(f"emomusic/{node}/state")
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._note

    def wait(self, seconds: float) -> float:
        """The time of the first one, on time.perf_counter.

        Raises:
            PeerError: none came in time.
        """
        if not self._come.wait(seconds) or self.first_s is None:
            raise PeerError(f"no state came in {seconds:g} s")
        return self.first_s

    def __enter__(self) -> StateWatch:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        if not self._subscribed.wait(_DEADLINE_S):
            raise PeerError("the broker takes no subscription")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, *_: object) -> None:
        if self.first_s is None:
            self.first_s = time.perf_counter()
            self._come.set()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
