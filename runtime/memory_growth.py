"""Memory that the process holds and never gives back: noticed over minutes, long before the machine runs short."""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Patience:
    """What counts as growth; the defaults are what the product uses.

    Attributes:
        every_s: between two looks, > 0.
        settles_s: for so long after the first look the process still takes what it needs.
        samples: growth is the least that was held at any of so many last looks, >= 1: what is given back was no leak.
        step_mb: told from so much growth on, and anew for each as much again, > 0. `make soak` allows
            5 MB for 100,000 frames.
    """

    every_s: float = 60.0
    settles_s: float = 900.0
    samples: int = 10
    step_mb: float = 100.0


class MemoryGrowth:
    """Looks at what the process holds, at most once a minute, and tells when that has grown for good.

    Args:
        held_mb: reads it, in 10^6 bytes; None where the system does not tell.
        patience: what counts as growth.
    """

    def __init__(self, held_mb: Callable[[], float | None], patience: Patience | None = None) -> None:
        self._held_mb = held_mb
        self._patience = patience or Patience()
        self._from_s: float | None = None
        self._next_s = float("-inf")
        self._settled_mb = 0.0
        self._last: deque[float] = deque(maxlen=self._patience.samples)
        self._told_steps = 0

    def reason(self, now_s: float) -> str:
        """What is wrong, and what to do; empty when nothing is. The same words until another step is reached.

        Args:
            now_s: monotonic seconds.
        """
        if now_s >= self._next_s:
            self._next_s = now_s + self._patience.every_s
            held_mb = self._held_mb()
            if held_mb is not None:
                self._look(now_s, held_mb)
        if not self._told_steps:
            return ""
        return (
            f"holds over {self._told_steps * self._patience.step_mb:.0f} MB more than when it had settled: it leaks; "
            "restart it before the machine runs short of memory, and report it with the log"
        )

    def _look(self, now_s: float, held_mb: float) -> None:
        step_mb = self._patience.step_mb
        if self._from_s is None:
            self._from_s = now_s
        if now_s - self._from_s <= self._patience.settles_s:
            self._settled_mb = max(self._settled_mb, held_mb)
            return
        self._last.append(held_mb)
        if len(self._last) < self._patience.samples:
            return
        steps = (min(self._last) - self._settled_mb) / step_mb
        # Half a step back takes a word back: what swings about a step must not be told anew each minute.
        if int(steps) > self._told_steps or steps < self._told_steps - 0.5:
            self._told_steps = max(0, int(steps))


def own_memory_mb() -> float | None:
    """What this process holds of its own, in 10^6 bytes: neither pages of files nor what others share (proc(5), statm).

    Returns:
        None where the system does not tell.
    """
    try:
        resident, shared = _STATM.read_text(encoding="ascii").split()[1:3]
        return (int(resident) - int(shared)) * resource.getpagesize() / 1e6
    except (OSError, ValueError):
        return None
