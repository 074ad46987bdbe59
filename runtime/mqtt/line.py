"""What the parts that speak over the line to the broker see of it: what came, what to listen for, how to send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

Qos = Literal[0, 1]


@dataclass(frozen=True, slots=True)
class Received:
    """One message that came.

    Attributes:
        topic: the full topic.
        payload: as sent.
        retained: whether its sender had it kept, or the broker had kept it.
        duplicate: whether the broker sends it once more, not knowing whether it had come.
        response_topic: where its sender waits for the answer (MQTT 5); empty where that is not told.
        correlation: what the answer is to carry, so that its sender knows which question it answers.
        packet_id: of a QoS 1 message, 1..65535; a duplicate has that of the first.
    """

    topic: str
    payload: bytes
    retained: bool = False
    duplicate: bool = False
    response_topic: str = ""
    correlation: bytes | None = None
    packet_id: int = 0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to send, or the last word that the broker tells when the line breaks for good.

    Attributes:
        topic: the full topic.
        payload: what to tell; an empty retained one clears what was retained.
        qos: 1 has it told until the broker has it.
        retained: whether the broker keeps it. Never for what a feeling can be read from.
        expires_s: how long it is worth delivering (MQTT 5).
        response_topic: where an answer is awaited (MQTT 5).
        correlation: what an answer carries back (MQTT 5).
    """

    topic: str
    payload: str | bytes
    qos: Qos = 0
    retained: bool = False
    expires_s: int | None = None
    response_topic: str = ""
    correlation: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """Of all that it carries, without MQTT's own bytes."""
        payload = self.payload.encode() if isinstance(self.payload, str) else self.payload
        topics = len(self.topic.encode()) + len(self.response_topic.encode())
        return topics + len(payload) + len(self.correlation or b"")


@dataclass(frozen=True, slots=True)
class Subscription:
    """What to listen for.

    Attributes:
        pattern: the full topic filter, e.g. `homeassistant/status` or `emomusic/kitchen/cmd/+`.
        heard: called on the network thread; must not block. What it raises is told as the line's reason.
        qos: 1 where a message must not be lost.
        kept: whether what the broker has retained is wanted.
        own: whether what this very client says is wanted (on MQTT 3.1.1 it always comes).
    """

    pattern: str
    heard: Callable[[Received], None]
    qos: Qos = 1
    kept: bool = True
    own: bool = False


class Line(Protocol):
    """A way to the broker; nothing in it blocks."""

    @property
    def ready(self) -> bool:
        """Whether a message sent now would leave at once: connected, and nothing waits for a slow line."""
        ...

    def send(self, message: Outgoing) -> bool:
        """Hand a message over; it is lost when the connection is, unless `qos` is 1 and it comes back in time.

        Returns:
            Whether it was taken; False while too much waits for a slow line.
        """
        ...
