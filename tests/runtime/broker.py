"""A real broker for tests: Debian's mosquitto as a subprocess on a free loopback port, and a listener beside it."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

DEADLINE_S = 30.0
"""How long a test waits for an event before it fails; nothing asserts how long it took."""


def program(name: str) -> str:
    """The path of one of mosquitto's programs; fails the test, never skips it, where it is missing."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail(f"{name} is not installed; type: sudo apt-get install mosquitto mosquitto-clients openssl")
    return found


def wait_until(true: Callable[[], object], what: str | Callable[[], str]) -> None:
    """Poll until something holds; fails the test after DEADLINE_S."""
    end = time.monotonic() + DEADLINE_S
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"waited {DEADLINE_S:g} s for {what if isinstance(what, str) else what()}")
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """One mosquitto, which may be stopped and started again on its port; memory only, nothing persists.

    Args:
        folder: an empty folder for its config and socket.
        lines: more lines of mosquitto.conf for the TCP listener.
        anonymous: whether a client without a login may come in.
    """

    def __init__(self, folder: Path, *lines: str, anonymous: bool = True) -> None:
        self.port = free_port()
        self.unix_socket = folder / "mqtt.sock"
        self._program = program("mosquitto")
        self._config = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        self._config.write_text(
            "\n".join(
                [
                    f"user {getpass.getuser()}",  # as root it would drop to a user who cannot read the folder
                    "persistence false",
                    "per_listener_settings true",
                    f"listener 0 {self.unix_socket}",
                    "allow_anonymous true",
                    f"listener {self.port} 127.0.0.1",
                    f"allow_anonymous {str(anonymous).lower()}",
                    *lines,
                    "",
                ]
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", str(self._config)], stdout=log, stderr=log)
        wait_until(self._answers, "mosquitto to listen")

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"mosquitto ended at once:\n{self._log.read_text()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it by its pid; harmless when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE_S)
            self._process = None


@dataclass(frozen=True)
class Heard:
    """One message as a subscriber saw it."""

    topic: str
    payload: bytes
    retained: bool

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Listener:
    """A client of the broker that notes all it hears, in order, retain flags as the sender set them.

    It comes in over the unix socket, so that no listener of a test is bound to the TCP side's login or TLS.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._heard: list[Heard] = []
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5, transport="unix")
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(
            "#", options=SubscribeOptions(qos=1, retainAsPublished=True)
        )
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._note

    def _note(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self._heard.append(Heard(message.topic, bytes(message.payload), message.retain))

    def __enter__(self) -> Listener:
        self._client.connect(str(self._broker.unix_socket))
        self._client.loop_start()
        assert self._subscribed.wait(DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, topic: str, payload: str | bytes = "", *, qos: int = 1, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos, retain)

    def all(self, topic: str | None = None) -> list[Heard]:
        return [heard for heard in list(self._heard) if topic in (None, heard.topic)]

    def topics(self) -> list[str]:
        return [heard.topic for heard in list(self._heard)]

    def wait(self, topic: str, match: Callable[[Heard], bool] = lambda _: True, *, count: int = 1) -> Heard:
        """The `count`-th message on a topic that matches, once it has come."""
        found: list[Heard] = []

        def here() -> bool:
            found[:] = [heard for heard in self.all(topic) if match(heard)]
            return len(found) >= count

        wait_until(here, lambda: f"message {count} on {topic}; heard {self.topics()[-20:]}")
        return found[count - 1]

    def barrier(self) -> None:
        """Return when all that the broker was to deliver before now has come."""
        marker = f"barrier/{time.monotonic_ns()}"
        self.send(marker)
        self.wait(marker)
