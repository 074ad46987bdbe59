"""A place in the broker that this device gave up, and what of it may be cleared: only what is its own."""

from __future__ import annotations

from emomusic_edge.runtime.mqtt.line import Received
from emomusic_edge.runtime.mqtt.messages import OFFLINE, ONLINE

from .document import availability_topic, discovery_topic, serial_in, speaks_for
from .remembered import Former


class GivenUp:
    """What the broker keeps of a former name or prefix, as far as it was heard; a rule without clock or network.

    Another device may have taken the name since. Its document carries another mark or name, and while somebody is
    online under the name nothing is touched: a run of ours that broke off is told to be offline by its will, and
    cleared then.

    Attributes:
        place: where it was.
        components: the platform of each component that was announced there, by its id.
        document_topic: where its document stands; empty where that is still ours, under another name.
        availability_topic: where it is told to be offline; empty where the name is still ours.
    """

    def __init__(self, former: Former, serial: str, names: frozenset[str], ours: frozenset[str]) -> None:
        """Nothing was heard yet.

        Args:
            former: where it was, and what was announced there.
            serial: the mark of this device.
            names: all that this device is and was called: the mark alone is that of its copies too.
            ours: the topics that this run speaks on.
        """
        self.place = former.place
        self.components = former.components
        document = discovery_topic(former.place.prefix, former.place.device)
        availability = availability_topic(former.place.node)
        self.document_topic = "" if document in ours else document
        self.availability_topic = "" if availability in ours else availability
        self._serial = serial
        self._names = names
        self._document = b""
        self._availability = b""

    def heard(self, message: Received) -> None:
        """A message on any topic; what stands there, now or since before; empty for nothing."""
        if message.topic == self.availability_topic:
            self._availability = message.payload
        elif message.topic == self.document_topic and (message.retained or not self._is_ours(message.payload)):
            # What we tell for a moment comes back to us over MQTT 3.1.1, and does not stand there.
            self._document = message.payload

    @property
    def taken(self) -> bool:
        """Whether another device announces itself there."""
        return bool(self._document) and not self._is_ours(self._document)

    @property
    def in_use(self) -> bool:
        """Whether somebody lives there: another device, or a run of ours whose will has not come yet."""
        return self.taken or self._availability == ONLINE.encode()

    def to_clear(self) -> list[str]:
        """The topics whose retained message is ours, and of no use any more."""
        if self.in_use:
            return []
        topics = [self.document_topic] if self._document else []
        if self._availability == OFFLINE.encode():
            topics.append(self.availability_topic)
        return topics

    def cleared(self, topic: str) -> None:
        """One of them was cleared."""
        if topic == self.document_topic:
            self._document = b""
        else:
            self._availability = b""

    def _is_ours(self, payload: bytes) -> bool:
        return serial_in(payload) == self._serial and any(speaks_for(payload, name) for name in self._names)
