"""Clocks and meters of the loop: the time it runs on, how long stages take, the frame rate, how long a fault shows."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

# Steps come several times a second; so long between two is no load but a stop. Clocks are read one after the other.
_STOOD_STILL_S, _SLEPT_S = 5.0, 0.5


@dataclass(frozen=True, slots=True)
class Awoke:
    """The process stood still, and goes on.

    Attributes:
        stood_s: for how long.
        slept_s: how much of it the monotonic clock did not count: the machine slept.
    """

    stood_s: float
    slept_s: float


class Timebase(Protocol):
    """The clock that the loop runs on, in seconds."""

    def now_s(self) -> float:
        """The time now."""
        ...

    def took(self, captured_at_s: float) -> None:
        """Told the time of each frame that the loop takes."""
        ...

    def awoke(self) -> Awoke | None:
        """How long the process stood still since this was asked last; None when it did not.

        To be asked several times a second.
        """
        ...

    def wait_until(self, due_s: float, stop: threading.Event, at_most_s: float) -> bool:
        """Wait until a time has come, `stop` is set, or `at_most_s` have passed; returns whether the time has come."""
        ...


class RealTime:
    """Monotonic time: cameras, and files played in real time.

    Args:
        monotonic: seconds that the machine was awake.
        since_boot: the same with those that it slept.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        since_boot: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        self._monotonic = monotonic
        self._since_boot = since_boot
        self._asked_s: tuple[float, float] | None = None

    def now_s(self) -> float:
        """Monotonic seconds."""
        return self._monotonic()

    def took(self, captured_at_s: float) -> None:
        """Of no effect: time goes on by itself."""

    def awoke(self) -> Awoke | None:
        """See Timebase.awoke. A step that took as long counts as well: what waited meanwhile is as old."""
        before, now = self._asked_s, (self._monotonic(), self._since_boot())
        if self._monotonic() - now[0] > _SLEPT_S / 2:
            # Held up between the two clocks: they tell nothing of each other then.
            return None
        self._asked_s = now
        if before is None:
            return None
        stood_s, slept_s = now[1] - before[1], (now[1] - before[1]) - (now[0] - before[0])
        return Awoke(stood_s, max(slept_s, 0.0)) if stood_s > _STOOD_STILL_S or slept_s > _SLEPT_S else None

    def wait_until(self, due_s: float, stop: threading.Event, at_most_s: float) -> bool:
        """Sleep."""
        wait_s = due_s - self.now_s()
        if wait_s > 0:
            stop.wait(min(wait_s, at_most_s))
        return wait_s <= at_most_s


class FrameTime:
    """The time of the newest frame: files read as fast as they can be."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now_s(self) -> float:
        """Seconds into the file."""
        return self._now_s

    def took(self, captured_at_s: float) -> None:
        """Time is now that of this frame."""
        self._now_s = captured_at_s

    def awoke(self) -> Awoke | None:
        """Never: time stands with the process."""
        return None

    def wait_until(self, due_s: float, stop: threading.Event, at_most_s: float) -> bool:
        """Never waits: the feed gives the frames of the ticks, and time comes with them."""
        return True


class StageTimes:
    """How long each stage of one step took."""

    def __init__(self) -> None:
        self._started_s = time.perf_counter()
        self._stages_ms: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as a stage; a stage entered twice adds up."""
        started_s = time.perf_counter()
        try:
            yield
        finally:
            elapsed_ms = 1e3 * (time.perf_counter() - started_s)
            self._stages_ms[name] = self._stages_ms.get(name, 0.0) + elapsed_ms

    @property
    def stages_ms(self) -> Mapping[str, float]:
        """Milliseconds by stage, in the order they were entered."""
        return dict(self._stages_ms)

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the step began."""
        return 1e3 * (time.perf_counter() - self._started_s)


class RateMeter:
    """Events a second over the last `window_s` seconds."""

    def __init__(self, window_s: float = 3.0) -> None:
        self._window_s = window_s
        self._times_s: deque[float] = deque()

    def tick(self, now_s: float) -> float:
        """Count an event and return the rate; 0 until there are two."""
        self._times_s.append(now_s)
        while self._times_s[0] < now_s - self._window_s:
            self._times_s.popleft()
        span_s = self._times_s[-1] - self._times_s[0]
        return (len(self._times_s) - 1) / span_s if span_s > 0 else 0.0


class PassingReason:
    """Something that went wrong once: told for as long as a person may be looking for it, then forgotten."""

    def __init__(self, shown_s: float) -> None:
        self._shown_s = shown_s
        self._text = ""
        self._until_s = 0.0

    def note(self, text: str, now_s: float) -> None:
        """It went wrong now."""
        self._text, self._until_s = text, now_s + self._shown_s

    def at(self, now_s: float) -> str:
        """The text, or empty when its time is over."""
        return self._text if now_s < self._until_s else ""
