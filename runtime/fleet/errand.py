"""One command for many devices: to whom it went, and what each answered; no I/O, time is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from emomusic_edge.runtime.mqtt.line import Received

from .reading import ResultSeen

Answer = Literal["ok", "refused", "silent", "offline", "unknown"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the command at one device.

    Attributes:
        node: its name.
        answer: `ok` and `refused` are its own words; `silent`: it did not answer; `offline` and `unknown` (the broker
            knows no such device): it was not asked.
        reason: why it refused; else empty.
        took_ms: from asking to the answer; None without one.
    """

    node: str
    answer: Answer
    reason: str = ""
    took_ms: float | None = None


class Errand:
    """A command under way.

    Args:
        command: its name, e.g. `pause`.
        by_topic: take answers without correlation data (MQTT 3.1.1 knows none) by their topic: an answer to somebody
            else's command of that name is then not told apart.

    Attributes:
        strays: answers that came a second time, or could not be read.
    """

    def __init__(self, command: str, *, by_topic: bool = False) -> None:
        self.strays = 0
        self._command = command
        self._by_topic = by_topic
        self._asked: dict[str, tuple[bytes, float]] = {}
        self._outcomes: dict[str, Outcome] = {}

    def ask(self, node: str, correlation: bytes, now_s: float) -> None:
        """Note that the command is about to be sent to a device."""
        self._asked[node] = (correlation, now_s)

    def pass_over(self, node: str, answer: Literal["offline", "unknown"]) -> None:
        """Note that a device is not asked, and why."""
        self._outcomes[node] = Outcome(node, answer)

    def hear(self, received: Received, now_s: float) -> None:
        """Take in a message on `emomusic/<node>/cmd/<name>/result`; answers to others are passed over."""
        levels = received.topic.split("/")
        if len(levels) != 5 or levels[3] != self._command or levels[1] not in self._asked:
            return
        node = levels[1]
        correlation, asked_s = self._asked[node]
        mine = self._by_topic if received.correlation is None else received.correlation == correlation
        if not mine:
            return
        if node in self._outcomes:
            self.strays += 1
            return
        try:
            result = ResultSeen.model_validate_json(received.payload)
        except ValueError:
            self.strays += 1
            return
        answer: Answer = "ok" if result.ok else "refused"
        self._outcomes[node] = Outcome(node, answer, result.reason, 1000.0 * (now_s - asked_s))

    @property
    def waits(self) -> int:
        """How many devices have yet to answer."""
        return sum(node not in self._outcomes for node in self._asked)

    def outcomes(self) -> Sequence[Outcome]:
        """One for each device, those asked first; who has not answered is `silent`."""
        silent = {node: Outcome(node, "silent") for node in self._asked}
        return tuple({**silent, **self._outcomes}.values())
