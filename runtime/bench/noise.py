"""Whether the machine was quiet enough: a fixed piece of work, timed between the turns, should always take as long.

It runs on every core that the process may use: another program that keeps one core of several busy leaves work on a
single thread alone, and slows an inference on all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

# On two cores four series of 150 timings spread 1.03 to 1.24 with little else at work, 1.93 to 2.68 beside a program
# that kept a core busy. Beside such a one, the work on a single thread, kept out of its way, spread 1.02 to 1.04.
NOISE_BOUND = 1.25
# As the soak has it: a clock that sinks in the heat, or another program that comes and stays.
DRIFT_BOUND = 0.05
# Of the timings, at each end; five of them in twenty-five.
_END_SHARE = 0.2
# Fewer say nothing of their own 90th percentile.
_LEAST_TIMINGS = 10
# Eight places of five, or four: one disturbed place alone is more than one timing in ten.
_TIMINGS_A_PLACE = 5
_VALUES = 100_000
_WORK = np.random.default_rng(0).random(_VALUES, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class NoiseVerdict:
    """What the fixed work said.

    Attributes:
        trusted: whether the figures may be believed.
        spread: p90 / p50 of the timings; None when there were too few.
        bound: what it may be at most.
        timings: how many there were.
        drift: median of the last fifth of the timings over that of the first; None when there were too few.
        drift_bound: how far from 1 it may be at most.
    """

    trusted: bool
    spread: float | None
    bound: float
    timings: int
    drift: float | None = None
    drift_bound: float = DRIFT_BOUND

    @property
    def told(self) -> str:
        """One line."""
        if self.spread is None:
            return (
                f"Not known to be quiet: {self.timings} timings of the fixed work, at least {_LEAST_TIMINGS} needed. "
                "Give more --rounds."
            )
        measured = f"fixed work took {self.spread:.2f} times its median in one run of ten (bound {self.bound:g})"
        if self.drift is not None:
            measured += (
                f", at the end {self.drift:.2f} times as long as at the start (bound {self.drift_bound:.0%} apart)"
            )
        return f"Quiet enough: {measured}." if self.trusted else f"TOO NOISY TO TRUST: {measured}."


def noise_verdict(times_ms: Sequence[float], bound: float = NOISE_BOUND) -> NoiseVerdict:
    """Judge timings of the fixed work; too few of them are not trusted.

    Args:
        times_ms: each > 0.
        bound: what p90 / p50 may be at most.
    """
    if len(times_ms) < _LEAST_TIMINGS:
        return NoiseVerdict(False, None, bound, len(times_ms))
    p50, p90 = (float(value) for value in np.percentile(times_ms, (50, 90)))
    count = max(int(_END_SHARE * len(times_ms)), 1)
    drift = float(np.median(times_ms[-count:]) / np.median(times_ms[:count]))
    trusted = p90 / p50 <= bound and abs(drift - 1.0) <= DRIFT_BOUND
    return NoiseVerdict(trusted, p90 / p50, bound, len(times_ms), drift)


def timings_ms(fixed_work: Callable[[], object], clock: Callable[[], float]) -> list[float]:
    """Times of the fixed work in one place; the first is not counted, its caches hold what a run left there.

    Args:
        fixed_work: does it once.
        clock: seconds, monotonic.
    """
    fixed_work()
    times = []
    for _ in range(_TIMINGS_A_PLACE):
        began_s = clock()
        fixed_work()
        times.append(1e3 * (clock() - began_s))
    return times


class FixedWork:
    """Sorts the same 100,000 numbers on each core at once, a few milliseconds; done when the last one is.

    Its threads sleep between the calls, each bound to its core: two that woke on the same one took nearly twice as long
    on a quiet machine, one call in ten.
    """

    def __init__(self, cores: Iterable[int]) -> None:
        self._threads = [
            ThreadPoolExecutor(1, initializer=os.sched_setaffinity, initargs=(0, {core})) for core in cores
        ]

    def __call__(self) -> None:
        """Do the work once."""
        for sorting in [thread.submit(np.sort, _WORK) for thread in self._threads]:
            sorting.result()

    def close(self) -> None:
        """Let the threads go."""
        for thread in self._threads:
            thread.shutdown()
