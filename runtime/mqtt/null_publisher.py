"""The smart home switched off: a contracts.Publisher that tells nobody."""

from __future__ import annotations

from collections.abc import Sequence

from emomusic_edge.contracts import Command, StateSnapshot


class NullPublisher:
    """A contracts.Publisher for `--no-mqtt`: tells nobody and hears nothing."""

    def start(self) -> None:
        """Nothing to start."""

    def publish(self, snapshot: StateSnapshot) -> None:
        """Told to nobody."""

    def commands(self) -> Sequence[Command]:
        """None ever arrive."""
        return ()

    def rejected(self) -> Sequence[str]:
        """None ever arrive."""
        return ()

    def reason(self) -> str:
        """Empty: being off is what was asked for."""
        return ""

    @property
    def silent_s(self) -> float:
        """0: there is no thread."""
        return 0.0

    def close(self) -> None:
        """Nothing to close."""
