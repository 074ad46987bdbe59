"""Sends commands to simulated devices at an even rate, and keeps the ledger of their answers."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterable

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks.fleet_ledger import Ledger
from benchmarks.fleet_nodes import name_of
from emomusic_edge.runtime.mqtt.client import send_at_once

# Devices answer under their own tree alone.
_ANSWERS_ON = "emomusic/{}/fleet-bench/result"
_COMMANDS = (
    ("skip", ""),
    ("volume", "0.4"),
    ("mode", "calm"),
    ("mood", '{"valence": 1}'),
    ("camera", "ON"),
    ("like", ""),
    ("resume", ""),
)


class Asker:
    """A client of the broker; a context manager."""

    def __init__(self, port: int) -> None:
        self.ledger = Ledger()
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._commands = itertools.cycle(_COMMANDS)
        self._port = port
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self._client.on_message = self._answered
        self._client.on_socket_open = send_at_once

    def __enter__(self) -> Asker:
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", self._port)
        self._client.subscribe(_ANSWERS_ON.format("+"), 1)
        self._client.loop_start()
        if not subscribed.wait(10):
            raise SystemExit("the broker takes no subscription")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask(self, number: int) -> None:
        """Send the next command of the round to a device."""
        command, payload = next(self._commands)
        correlation = next(self._numbers).to_bytes(8, "big")
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = _ANSWERS_ON.format(name_of(number))
        properties.CorrelationData = correlation
        with self._lock:
            self.ledger.ask(correlation, time.monotonic())
        self._client.publish(f"emomusic/{name_of(number)}/cmd/{command}", payload, 1, properties=properties)

    def ask_evenly(self, devices: int, interval_s: float, seconds: float) -> None:
        """Ask each device once an interval, the devices one after the other, for so long."""
        began_s = time.monotonic()
        for turn in range(int(devices * seconds / interval_s)):
            time.sleep(max(began_s + turn * interval_s / devices - time.monotonic(), 0.0))
            self.ask(turn % devices)
        time.sleep(max(began_s + seconds - time.monotonic(), 0.0))

    def ask_all(self, numbers: Iterable[int], within_s: float) -> float:
        """Ask all at once.

        Returns:
            Seconds until the last answer came; infinite when not all came in time.
        """
        began_s = time.monotonic()
        for number in numbers:
            self.ask(number)
        return time.monotonic() - began_s if self.wait_answered(within_s) else float("inf")

    def wait_answered(self, within_s: float) -> bool:
        """Wait until nothing is open.

        Returns:
            Whether all was answered in time.
        """
        end_s = time.monotonic() + within_s
        while self.ledger.waits and time.monotonic() < end_s:
            time.sleep(0.001)
        return self.ledger.waits == 0

    def _answered(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        correlation = getattr(message.properties, "CorrelationData", b"")
        with self._lock:
            self.ledger.answer(correlation, bool(json.loads(message.payload)["ok"]), time.monotonic())
