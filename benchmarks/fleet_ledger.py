"""Commands under way and their answers, each known by its correlation data; no I/O, time is an argument."""

from __future__ import annotations


class Ledger:
    """Counts what became of each command.

    Attributes:
        asked: commands that were sent.
        answered: of them, those that got an answer.
        refused: of them, those whose answer was not ok.
        doubled: answers that came once more.
        strange: answers to nothing that was asked.
        trips_ms: from asking to the answer, one for each that was answered.
    """

    def __init__(self) -> None:
        self.asked = self.answered = self.refused = self.doubled = self.strange = 0
        self.trips_ms: list[float] = []
        self._open: dict[bytes, float] = {}
        self._done: set[bytes] = set()

    def ask(self, correlation: bytes, now_s: float) -> None:
        """A command is about to be sent."""
        self.asked += 1
        self._open[correlation] = now_s

    def answer(self, correlation: bytes, ok: bool, now_s: float) -> None:
        """An answer came."""
        asked_s = self._open.pop(correlation, None)
        if asked_s is not None:
            self._done.add(correlation)
            self.answered += 1
            self.refused += not ok
            self.trips_ms.append(1000.0 * (now_s - asked_s))
        elif correlation in self._done:
            self.doubled += 1
        else:
            self.strange += 1

    @property
    def waits(self) -> int:
        """Commands without an answer so far."""
        return len(self._open)
