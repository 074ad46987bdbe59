"""The smart home's side of the faults: sends commands with a number on each, counts the answers, reads what is kept."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker import wait_until
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from emomusic_edge.runtime.home_assistant.components import components
from emomusic_edge.runtime.home_assistant.document import discovery_topic
from emomusic_edge.runtime.mqtt.broker import BrokerSettings

_ANSWER_S = 3.0
DOCUMENT = "discovery"
"""What kept() calls the document for Home Assistant."""
WHOLE = b"whole"
"""What it says of one that has every entity of the node; of another, the payload."""


def _client(name: str = "") -> Client:
    return Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTv5, transport="unix")


@dataclass(frozen=True)
class Answer:
    """What came back for one command."""

    ok: bool
    reason: str


class Controller:
    """A client of the broker by its unix socket; comes back by itself, within a second.

    Attributes:
        answers: how many came for each command, by its number.
    """

    def __init__(self, unix_socket: Path, node: str, *, numbered: bool = True) -> None:
        """Prepare.

        Args:
            unix_socket: of the broker.
            node: of the device.
            numbered: whether the device carries a command's number back, as on MQTT 5; else answers are taken in turn.
        """
        self.answers: Counter[str] = Counter()
        self._socket = unix_socket
        self._node = f"emomusic/{node}"
        self._document = discovery_topic("homeassistant", node)
        # As JSON brings them back.
        self._entities = json.loads(json.dumps(components(BrokerSettings(node=node))))
        self._replies = f"{self._node}/controller-{uuid.uuid4().hex[:8]}"
        self._numbered = numbered
        self._unanswered: deque[str] = deque(maxlen=100)
        self._said: dict[str, Answer] = {}
        self._newest: dict[str, tuple[float, bytes]] = {}
        self._subscribed = threading.Event()
        self._client = _client()
        self._client.reconnect_delay_set(1, 1)
        self._client.suppress_exceptions = True
        self._client.max_inflight_messages_set(20)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_disconnect = lambda *_: self._subscribed.clear()
        self._client.on_message = self._note

    def _connected(self, client: Client, *_: object) -> None:
        told = [f"{self._node}/{name}" for name in ("availability", "state", "music", "health", "cmd/+/result")]
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in (*told, f"{self._replies}/#")])

    def _note(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        if message.topic.startswith(self._replies) and self._numbered:
            self._answered(message.properties.CorrelationData.decode(), message.payload)
        elif message.topic.endswith("/result") and self._unanswered and not self._numbered:
            self._answered(self._unanswered.popleft(), message.payload)
        elif message.payload and not message.retain:
            self._newest[message.topic.removeprefix(f"{self._node}/")] = (time.monotonic(), bytes(message.payload))

    def _answered(self, number: str, payload: bytes) -> None:
        answer = json.loads(payload)
        self._said[number] = Answer(answer["ok"], answer["reason"])
        self.answers[number] += 1

    def start(self) -> None:
        self._client.connect_async(str(self._socket))
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def ready(self) -> bool:
        return self._subscribed.is_set()

    def send(self, name: str, payload: str | bytes = "") -> str:
        """Send a command; the number under which its answer will be found."""
        number = uuid.uuid4().hex
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = f"{self._replies}/{name}/result"
        properties.CorrelationData = number.encode()
        self._unanswered.append(number)
        self.answers[number] = 0
        self._client.publish(f"{self._node}/cmd/{name}", payload, 1, False, properties)
        return number

    def keep(self, topic: str, payload: str) -> None:
        """Have the broker retain something, and wait until it has."""
        self._client.publish(topic, payload, 1, True).wait_for_publish(_ANSWER_S)

    def answer(self, number: str, within_s: float = _ANSWER_S) -> Answer | None:
        """What came for a command; None when nothing did in that time."""
        end_s = time.monotonic() + within_s
        while number not in self._said and time.monotonic() < end_s:
            time.sleep(0.005)
        return self._said.get(number)

    @property
    def may_be_obeyed(self) -> int:
        """How many commands were granted, or never answered: no more than these may have been obeyed."""
        granted = sum(answer.ok for answer in self._said.values())
        return granted + sum(count == 0 for count in self.answers.values())

    def newest(self, name: str) -> tuple[float, Any]:
        """When the newest message on a topic came (monotonic; 0 for never), and what it says."""
        at_s, payload = self._newest.get(name, (0.0, b"null"))
        return at_s, payload.decode() if name == "availability" else json.loads(payload)

    def kept(self) -> dict[str, bytes] | None:
        """What the broker has retained of the node, as a client sees it that has just come; None without one.

        By the topic under the node; the document for Home Assistant as DOCUMENT, and WHOLE where it is.
        """
        found: dict[str, bytes] = {}
        done = threading.Event()
        marker = f"{self._replies}-{uuid.uuid4().hex}"

        def note(_client: Client, _userdata: object, message: MQTTMessage) -> None:
            if message.topic == marker:
                done.set()
            elif message.retain and message.topic == self._document:
                found[DOCUMENT] = WHOLE if self._is_whole(message.payload) else bytes(message.payload)
            elif message.retain:
                found[message.topic.removeprefix(f"{self._node}/")] = bytes(message.payload)

        reader = _client()
        reader.on_connect = lambda client, *_: client.subscribe(
            [(f"{self._node}/#", 0), ("homeassistant/#", 0), (marker, 0)]
        )
        reader.on_subscribe = lambda client, *_: client.publish(marker, b"")
        reader.on_message = note
        try:
            reader.connect(str(self._socket))
        except OSError:
            return None
        reader.loop_start()
        seen = done.wait(2.0)
        reader.disconnect()
        reader.loop_stop()
        return found if seen else None

    def _is_whole(self, payload: bytes) -> bool:
        document = json.loads(payload)
        return bool(
            document["components"] == self._entities and document["availability_topic"] == f"{self._node}/availability"
        )

    def take_over(self, client_id: str) -> None:
        """Come in for a moment under another client's name, which throws that one out."""
        thief = _client(client_id)
        thief.connect(str(self._socket))
        thief.loop_start()
        wait_until(thief.is_connected, "the second client of that name")
        thief.disconnect()
        thief.loop_stop()
