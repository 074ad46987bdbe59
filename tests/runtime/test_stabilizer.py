from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.contracts import FusedAffect, StableAffect, ValenceArousal
from emomusic_edge.runtime.stabilizer import Stabilizer, StabilizerRule

SURE, UNSURE = 0.1, 0.9


def fused(
    valence: float, arousal: float, variance: float | tuple[float, float] = SURE, gate: ValenceArousal | None = None
) -> FusedAffect:
    pair = variance if isinstance(variance, tuple) else (variance, variance)
    return FusedAffect(ValenceArousal(valence, arousal), ValenceArousal(*pair), {}, gate)


def stable(value: StableAffect | None) -> StableAffect:
    assert value is not None
    return value


def test_nothing_is_stable_before_the_first_accepted_frame() -> None:
    stabilizer = Stabilizer(StabilizerRule())
    assert stabilizer.update(None, 0.0) is None
    assert stabilizer.update(fused(2, 3, UNSURE), 0.1) is None
    assert stabilizer.update(fused(2, 3, (SURE, UNSURE)), 0.2) is None
    first = stable(stabilizer.update(fused(-1, 4), 0.3))
    assert first.mean.arousal == 4
    assert first.held == (False, False)


@given(st.floats(0.5, 60), st.floats(0.2, 10), st.floats(0, 20))
def test_a_step_comes_through_the_same_at_any_frame_rate(rate: float, tau_s: float, duration_s: float) -> None:
    """After a step at time 0 the output is 1 - exp(-t / tau), whatever the frame rate."""
    stabilizer = Stabilizer(StabilizerRule(time_constant_s=tau_s))
    out = stable(stabilizer.update(fused(0, 3), 0.0))
    frames = int(duration_s * rate)
    for i in range(1, frames + 1):
        out = stable(stabilizer.update(fused(1, 3), i / rate))
    assert out.mean.valence == pytest.approx(1 - math.exp(-frames / rate / tau_s), abs=1e-9)


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(0, 6)), min_size=1, max_size=30), st.floats(0.01, 1))
def test_per_frame_is_the_seeds_average(points: list[tuple[float, float]], alpha: float) -> None:
    stabilizer = Stabilizer(StabilizerRule(kind="per_frame", alpha=alpha))
    ema = points[0]
    for i, point in enumerate(points):
        out = stable(stabilizer.update(fused(*point), 0.1 * i))
        ema = point if i == 0 else (alpha * point[0] + (1 - alpha) * ema[0], alpha * point[1] + (1 - alpha) * ema[1])
    assert out.mean == pytest.approx(ema)


def test_an_uncertain_frame_moves_nothing_inside_or_out() -> None:
    """The seed moved the average behind the held output, so that it jumped when the hold ended."""
    with_it, without = Stabilizer(StabilizerRule()), Stabilizer(StabilizerRule())
    for stabilizer in (with_it, without):
        stabilizer.update(fused(-2, 4), 0.0)
    held = stable(with_it.update(fused(3, 0, UNSURE), 0.1))
    assert held.mean == (-2, 4)
    assert held.held == (True, True)
    without.update(None, 0.1)
    assert with_it.update(fused(-1, 3), 0.2) == without.update(fused(-1, 3), 0.2)


def test_each_axis_is_gated_on_its_own() -> None:
    stabilizer = Stabilizer(StabilizerRule())
    stabilizer.update(fused(0, 3), 0.0)
    out = stable(stabilizer.update(fused(2, 5, (UNSURE, SURE)), 1.0))
    assert out.held == (True, False)
    assert out.mean.valence == 0
    assert out.mean.arousal > 3


@given(st.floats(0.1, 300))
def test_one_frame_after_a_long_hold_moves_it_no_further_than_any_other(hold_s: float) -> None:
    stabilizer = Stabilizer(StabilizerRule(time_constant_s=2.0))
    stabilizer.update(fused(0, 3), 0.0)
    for i in range(1, 11):
        stabilizer.update(None, hold_s * i / 10)
    out = stable(stabilizer.update(fused(3, 3), hold_s + 0.1))
    assert out.mean.valence == pytest.approx(3 * (1 - math.exp(-0.1 / 2.0)), rel=1e-6)


def test_age_and_staleness_count_from_the_older_axis() -> None:
    stabilizer = Stabilizer(StabilizerRule(stale_after_s=30))
    stabilizer.update(fused(0, 3), 0.0)
    out = stable(stabilizer.update(fused(1, 3, (SURE, UNSURE)), 20.0))
    assert (out.age_s, out.stale) == (20.0, False)
    out = stable(stabilizer.update(fused(1, 3, (SURE, UNSURE)), 30.5))
    assert (out.age_s, out.stale) == (30.5, True)
    out = stable(stabilizer.update(fused(1, 3), 31.0))
    assert (out.age_s, out.stale) == (0.0, False)


@pytest.mark.parametrize(
    ("configured", "stated", "variance", "is_held"),
    [
        (None, None, 0.39, False),
        (None, None, 0.41, True),
        (None, 1.5, 1.4, False),
        (None, 1.5, 1.6, True),
        (0.2, 1.5, 0.3, True),
        (2.0, None, 1.9, False),
        (None, None, math.nan, True),
    ],
)
def test_the_config_overrides_the_bundles_gate_which_overrides_the_default(
    configured: float | None, stated: float | None, variance: float, is_held: bool
) -> None:
    stabilizer = Stabilizer(StabilizerRule(gate=(configured, configured)))
    stabilizer.update(fused(0, 3, 0.0), 0.0)
    gate = None if stated is None else ValenceArousal(stated, stated)
    assert stable(stabilizer.update(fused(1, 3, variance, gate), 0.1)).held == (is_held, is_held)


@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(0, 6), st.floats(0, 1), st.floats(-1, 5)), min_size=1, max_size=50)
)
def test_it_stays_between_what_it_was_given_even_when_the_clock_steps_back(
    frames: list[tuple[float, float, float, float]],
) -> None:
    stabilizer = Stabilizer(StabilizerRule())
    now_s = 0.0
    accepted: list[tuple[float, float]] = []
    for valence, arousal, variance, dt_s in frames:
        now_s += dt_s
        if variance <= 0.4:
            accepted.append((valence, arousal))
        out = stabilizer.update(fused(valence, arousal, variance), now_s)
        assert (out is None) == (not accepted)
        if out is not None:
            for axis in (0, 1):
                values = [point[axis] for point in accepted]
                assert min(values) - 1e-9 <= out.mean[axis] <= max(values) + 1e-9
            assert out.age_s >= 0
