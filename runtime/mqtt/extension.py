"""What speaks over the device's own line beside the publisher: Home Assistant's discovery, a group of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from emomusic_edge.contracts import StateSnapshot

from .line import Line, Subscription


class Extension(Protocol):
    """Its subscriptions are made at each connect; what it sends goes through the line that it is handed."""

    @property
    def reason(self) -> str:
        """What is wrong with it though messages get through; empty when all is well."""
        ...

    def subscriptions(self) -> Sequence[Subscription]:
        """What it wants to hear; asked for once."""
        ...

    def before_online(self, line: Line) -> None:
        """Called at each connect, on the network thread, before the device is told to be online."""
        ...

    def step(self, snapshot: StateSnapshot, now_s: float, line: Line) -> bool:
        """Called by the loop with each state, while the line is ready.

        Args:
            snapshot: what is told.
            now_s: monotonic seconds.
            line: to say something.

        Returns:
            Whether everything is to be told anew: `before_online`, availability, health, state, music.
        """
        ...

    def leaving(self, line: Line) -> None:
        """Called before a clean close, while the line still stands."""
        ...
