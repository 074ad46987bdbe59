"""A line that keeps what a broker would: the retained messages, and the order in which all was said."""

from __future__ import annotations

from collections.abc import Sequence

from emomusic_edge.runtime.mqtt.line import Outgoing, Received, Subscription


class RecordingLine:
    """A Line on a broker of its own, which several lines in a row may share through `kept`."""

    def __init__(self, kept: dict[str, bytes] | None = None) -> None:
        self.kept = {} if kept is None else kept
        self.said: list[tuple[str, bytes]] = []
        self.for_a_moment: dict[str, bytes] = {}
        self.ready = True
        self.full = False

    def send(self, message: Outgoing) -> bool:
        if self.full:
            return False
        topic, content = message.topic, message.payload
        content = content.encode() if isinstance(content, str) else content
        self.said.append((topic, content))
        # A document must arrive; only what is told for a moment is not kept.
        assert message == Outgoing(topic, message.payload, 1, retained=message.retained)
        if not message.retained:
            self.for_a_moment[topic] = content
        elif content:
            self.kept[topic] = content
        else:
            self.kept.pop(topic, None)
        return True

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Deliver what is kept, as a broker does."""
        for one in subscriptions:
            if one.kept and one.pattern in self.kept:
                one.heard(Received(one.pattern, self.kept[one.pattern], retained=True))


def tell(subscriptions: Sequence[Subscription], topic: str, payload: bytes, *, retained: bool = False) -> None:
    """Let a message of another client come."""
    for one in subscriptions:
        if one.pattern == topic:
            one.heard(Received(topic, payload, retained=retained))
