"""How often, and how seeded, the faults of parts are done; and the line that tells how long they took to heal."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Sequence

REPETITIONS = min(20, int(os.environ.get("FAULTS", "20")))
"""Of each kind, in the long run."""
LONG_S = 60.0
"""A deadline that only a broken test reaches."""


def chance(kind: str, number: int) -> random.Random:
    """The dice of one repetition."""
    return random.Random(f"{os.environ.get('FAULTS_SEED', '6')} {kind} {number}")


def p95(seconds: Sequence[float]) -> float:
    """What 95 of 100 stayed below, or at."""
    return sorted(seconds)[-(-95 * len(seconds) // 100) - 1]


def tell(kind: str, seconds: Sequence[float]) -> None:
    """A row: kind, times, median, 95 of 100, longest; seconds."""
    print(f"\n| {kind} | {len(seconds)} | {statistics.median(seconds):.2f} | {p95(seconds):.2f} | {max(seconds):.2f} |")  # noqa: T201


def wait_for(holds: Callable[[], bool], what: str) -> float:
    """Wait until it holds; the monotonic time at which it was seen to."""
    deadline_s = time.monotonic() + LONG_S
    while not holds():
        assert time.monotonic() < deadline_s, f"waited in vain: {what}"
        time.sleep(0.005)
    return time.monotonic()
