"""How far another machine's monotonic clock is from one's own: Cristian's algorithm (Cristian 1989). No I/O.

A question leaves at t0, is answered with the other's time t1, and the answer comes at t2: the other clock is ahead by
t1 - (t0 + t2) / 2, give or take (t2 - t0) / 2, however unequal the two ways are. No wall clock is asked, so that none
need be right, and one that is set has no effect.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

REMEMBERED = 16
DRIFT = 1e-3
"""Two clocks drift apart by less than this: the kernel slews each by at most 500 ppm (adjtimex(2)) while it is set."""
_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Offset:
    """The other clock less one's own.

    Attributes:
        offset_s: the estimate.
        bound_s: how far it is off at most.
    """

    offset_s: float
    bound_s: float

    def to_own(self, theirs_s: float) -> float:
        """A moment of the other clock, by one's own."""
        return theirs_s - self.offset_s


class ClockOffset:
    """The best of the last REMEMBERED questions."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Offset]] = deque(maxlen=REMEMBERED)

    @property
    def questions(self) -> int:
        """How many answers it rests on."""
        return len(self._samples)

    def answered(self, sent_s: float, theirs_s: float, received_s: float) -> None:
        """Told of a question that was answered.

        Args:
            sent_s: when it left, by one's own clock.
            theirs_s: what the other clock showed when it answered.
            received_s: when the answer came, by one's own clock.
        """
        if received_s < sent_s:
            return
        took_s = received_s - sent_s
        # They drift apart during the exchange, too.
        new = Offset(theirs_s - (sent_s + received_s) / 2, took_s * (0.5 + DRIFT))
        if any(_apart(_aged(old, received_s - at_s), new) for at_s, old in self._samples):
            # One of the machines slept, or is another one now: what was learned before is void.
            self._samples.clear()
        self._samples.append((received_s, new))

    def best(self, now_s: float) -> Offset | None:
        """The tightest estimate there is; None before the first answer."""
        aged = (_aged(offset, now_s - at_s) for at_s, offset in self._samples)
        return min(aged, key=lambda offset: offset.bound_s, default=None)


def _aged(offset: Offset, age_s: float) -> Offset:
    return Offset(offset.offset_s, offset.bound_s + DRIFT * max(0.0, age_s))


def _apart(one: Offset, other: Offset) -> bool:
    return abs(one.offset_s - other.offset_s) > one.bound_s + other.bound_s + _ROUNDING_S
