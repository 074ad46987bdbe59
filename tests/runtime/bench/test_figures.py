from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.runtime.bench.figures import latency_figures, ratio_apart, ratio_of_medians
from emomusic_edge.runtime.bench.noise import NOISE_BOUND, FixedWork, noise_verdict
from emomusic_edge.runtime.bench.schedule import turns


@given(st.lists(st.floats(0.001, 1e5), min_size=1, max_size=50))
def test_percentiles_are_numpys(times_ms: list[float]) -> None:
    figures = latency_figures(times_ms)
    told = (figures.p50_ms, figures.p90_ms, figures.p99_ms)
    assert told == pytest.approx(tuple(np.percentile(times_ms, (50, 90, 99))))
    assert figures.runs == len(times_ms)
    assert figures.mean_ms * figures.per_second == pytest.approx(1000.0)


def test_a_ratio_is_that_of_the_medians_and_lies_in_its_interval() -> None:
    random = np.random.default_rng(1)
    drift = np.linspace(1.0, 3.0, 20)[:, None]
    a = drift * random.normal(2.0, 0.05, (20, 9))
    b = drift * random.normal(1.0, 0.05, (20, 9))
    ratio = ratio_of_medians(a.tolist(), b.tolist())
    assert ratio.ratio == pytest.approx(np.median(a) / np.median(b))
    assert ratio.low <= ratio.ratio <= ratio.high
    # the machine slows threefold; the two were measured in turns, and the interval holds on to the ratio all the same
    assert ratio.low > 1.9
    assert ratio.high < 2.1
    assert ratio.rounds == 20


def test_rounds_come_as_an_order_and_the_same_backwards() -> None:
    rounds = list(itertools.islice(turns(7), 40))
    assert all(sorted(order) == list(range(7)) for order in rounds)
    assert all(there == back[::-1] for there, back in zip(rounds[::2], rounds[1::2], strict=True))
    assert len(set(rounds)) > 20


def test_of_two_cases_each_comes_first_as_often() -> None:
    first = [order[0] for order in itertools.islice(turns(2), 30)]
    assert first.count(0) == first.count(1) == 15


@pytest.mark.parametrize(
    ("slow", "trusted"), [(1.0, True), (NOISE_BOUND, True), (NOISE_BOUND + 0.01, False), (3.0, False)]
)
def test_the_machine_is_quiet_up_to_the_bound(slow: float, trusted: bool) -> None:
    verdict = noise_verdict([*[1.0] * 4, slow] * 20)
    assert verdict.trusted == trusted
    assert verdict.spread == pytest.approx(slow)
    assert ("TOO NOISY TO TRUST" in verdict.told) != trusted


def test_the_fixed_work_is_done_again_and_again() -> None:
    before = os.sched_getaffinity(0)
    work = FixedWork(before)
    work()
    work()
    work.close()
    assert os.sched_getaffinity(0) == before


def test_too_few_timings_are_never_trusted() -> None:
    verdict = noise_verdict([1.0] * 9)
    assert not verdict.trusted
    assert verdict.spread is None
    assert "at least 10 needed" in verdict.told


def test_a_clock_that_sinks_slowly_is_no_quiet_machine() -> None:
    """Spread alone does not see it: 8 % over the whole run."""
    sinking = np.linspace(3.0, 3.24, 100).tolist()
    verdict = noise_verdict(sinking)
    assert verdict.spread is not None
    assert verdict.spread <= verdict.bound
    assert not verdict.trusted
    assert "at the end 1.06 times as long" in verdict.told
    assert noise_verdict(np.linspace(3.0, 3.1, 100).tolist()).trusted


def test_a_ratio_of_separate_runs_has_the_wider_interval() -> None:
    """What slowed A and B alike cancels only where they ran side by side."""
    random = np.random.default_rng(0)
    drift = np.linspace(1.0, 2.0, 20)[:, None]
    a = (drift * random.normal(2.0, 0.02, (20, 9))).tolist()
    b = (drift * random.normal(1.0, 0.02, (20, 9))).tolist()
    together, apart = ratio_of_medians(a, b), ratio_apart(a, b[:15])
    assert apart.low < together.low < 2.0 < together.high < apart.high
    assert ratio_apart(a, b).ratio == together.ratio
