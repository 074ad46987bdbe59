"""What was handed to the network thread and has not left yet: bounded, and known again when the broker refuses it."""

from __future__ import annotations

import threading

# What may wait for a slow line before more is refused; a broker that reads nothing must cost no memory.
MAX_UNSENT = 1024


class Underway:
    """Counts what waits, and remembers the topics of what is to be acknowledged (QoS 1). Any thread may call it."""

    def __init__(self, limit: int = MAX_UNSENT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._unsent = 0
        self._topics: dict[int, str] = {}

    def enter(self) -> bool:
        """One more is to be sent; False where too many wait already."""
        with self._lock:
            if self._unsent >= self._limit:
                return False
            self._unsent += 1
            return True

    def leave(self) -> None:
        """One was sent, or will not be."""
        with self._lock:
            self._unsent = max(0, self._unsent - 1)

    def awaits(self, packet_id: int, topic: str) -> None:
        """The broker is to acknowledge this one."""
        self._topics[packet_id] = topic

    def acknowledged(self, packet_id: int) -> str:
        """It did, or refused it; the topic, empty where none was awaited."""
        return self._topics.pop(packet_id, "")

    def dropped(self) -> None:
        """A new line is made: what waited is gone."""
        self._topics.clear()
        with self._lock:
            self._unsent = 0
