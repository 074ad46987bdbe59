"""What a series of latencies comes to: percentiles, and the ratio of two series with its spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 1000
_INTERVAL_PERCENT = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class LatencyFigures:
    """Percentiles and mean of a series, in ms; `per_second` is 1000 / mean."""

    runs: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median of A over median of B.

    Attributes:
        ratio: below 1 where A is the faster.
        low, high: a 95 % interval by bootstrap over rounds.
        rounds: how many it rests on.
    """

    ratio: float
    low: float
    high: float
    rounds: int


def latency_figures(times_ms: Sequence[float]) -> LatencyFigures:
    """The figures of a series; percentiles are interpolated linearly, as numpy does by default.

    Args:
        times_ms: at least one, each > 0.
    """
    p50, p90, p99 = (float(value) for value in np.percentile(times_ms, (50, 90, 99)))
    mean = float(np.mean(times_ms))
    return LatencyFigures(len(times_ms), p50, p90, p99, mean, 1e3 / mean)


def ratio_of_medians(a_rounds: Sequence[Sequence[float]], b_rounds: Sequence[Sequence[float]], seed: int = 0) -> Ratio:
    """The ratio of two medians that were measured side by side.

    Rounds are drawn again, not single runs: what disturbs one run disturbs its neighbours, and an interval from single
    runs would be far too narrow. A round is drawn for A and B together, so that what slowed both cancels.

    Args:
        a_rounds: the times of A in ms, by round; each round has at least one.
        b_rounds: those of B, in the same rounds.
        seed: of the draws.
    """
    count = len(a_rounds)
    draws = np.random.default_rng(seed).integers(count, size=(_RESAMPLES, count))
    a_arrays, b_arrays = ([np.asarray(times) for times in rounds] for rounds in (a_rounds, b_rounds))
    ratios = [_ratio([a_arrays[i] for i in draw], [b_arrays[i] for i in draw]) for draw in draws]
    low, high = (float(value) for value in np.percentile(ratios, _INTERVAL_PERCENT))
    return Ratio(_ratio(a_arrays, b_arrays), low, high, count)


def ratio_apart(a_rounds: Sequence[Sequence[float]], b_rounds: Sequence[Sequence[float]], seed: int = 0) -> Ratio:
    """The ratio of two medians of separate runs: rounds of each are drawn for themselves, nothing cancels.

    Args:
        a_rounds: the times of A in ms, by round; each round has at least one.
        b_rounds: those of B; there may be another number.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    a_arrays, b_arrays = ([np.asarray(times) for times in rounds] for rounds in (a_rounds, b_rounds))
    ratios = [
        _ratio(
            *([arrays[i] for i in random.integers(len(arrays), size=len(arrays))] for arrays in (a_arrays, b_arrays))
        )
        for _ in range(_RESAMPLES)
    ]
    low, high = (float(value) for value in np.percentile(ratios, _INTERVAL_PERCENT))
    return Ratio(_ratio(a_arrays, b_arrays), low, high, min(len(a_arrays), len(b_arrays)))


def _ratio(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    return float(np.median(np.concatenate(a)) / np.median(np.concatenate(b)))
