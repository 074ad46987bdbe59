"""An estimate that stands loses weight with its age, and never fails the gate for its age alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.contracts import AffectEstimate, ValenceArousal
from emomusic_edge.runtime.fusion import FusionRule, fuse
from emomusic_edge.runtime.scheduling import added_variance
from emomusic_edge.runtime.stabilizer import Stabilizer, StabilizerRule

ages = st.floats(0.0, 1e6)
correlations = st.floats(1.0, 86400.0)
variances = st.floats(1e-4, 50.0)


def scene(variance: float, age_s: float, gate: ValenceArousal | None = None) -> AffectEstimate:
    return AffectEstimate("scene", ValenceArousal(1.0, 3.0), ValenceArousal(variance, variance), 64, gate, age_s)


def face(variance: float, gate: ValenceArousal | None = None) -> AffectEstimate:
    return AffectEstimate("face", ValenceArousal(-1.0, 4.0), ValenceArousal(variance, variance), 64, gate)


@given(ages, ages, correlations)
def test_age_only_adds_and_never_more_than_twice_the_spread_of_all_rooms(
    a: float, b: float, correlation: float
) -> None:
    young, old = (added_variance(age, correlation) for age in sorted((a, b)))
    for axis, sd in enumerate((1.79, 1.63)):
        assert 0.0 <= young[axis] <= old[axis] <= 2 * sd**2 + 1e-9


def test_the_growth_is_that_of_a_simulated_process() -> None:
    """Oracle: paths of the process drawn step by step, its mean square change over a second measured."""
    random = np.random.default_rng(7)
    correlation, step_s, sd = 20.0, 0.05, 1.79
    keep = math.exp(-step_s / correlation)
    start = random.normal(0.0, sd, 200_000)
    now = start
    for _ in range(20):
        now = keep * now + random.normal(0.0, sd * math.sqrt(1 - keep**2), len(now))
    assert np.mean((now - start) ** 2) == pytest.approx(added_variance(1.0, correlation).valence, rel=0.02)


def test_an_older_scene_has_less_say_beside_the_same_face() -> None:
    shares = [fuse([scene(0.2, age), face(0.2)], FusionRule()).weights["scene"].valence for age in (0.0, 0.3, 0.6, 1.0)]
    assert shares[0] == pytest.approx(0.5)
    assert shares == sorted(shares, reverse=True)
    assert 0.3 < shares[-1] < 0.45


@given(variances, variances, ages, st.sampled_from(["inverse_variance", "fixed"]), st.booleans(), st.booleans())
def test_no_frame_is_held_or_passed_for_its_age_alone(
    of_scene: float, of_face: float, age_s: float, kind: str, with_face: bool, own_gates: bool
) -> None:
    """Whether a frame is held is the same as if the scene model had said the same of this very frame."""
    gate = ValenceArousal(0.3, 0.5) if own_gates else None

    def held(age: float) -> tuple[bool, bool] | None:
        estimates = [scene(of_scene, age, gate), face(of_face, gate)][: 1 + with_face]
        stabilizer = Stabilizer(StabilizerRule())
        stabilizer.update(fuse([face(0.01)], FusionRule()), 0.0)
        stable = stabilizer.update(fuse(estimates, FusionRule(kind=kind)), 0.1)
        return stable.held if stable else None

    assert held(age_s) == held(0.0)


def test_the_variance_that_is_told_counts_the_age() -> None:
    fused = fuse([scene(0.1, 1.0)], FusionRule(correlation_s=60.0))
    # 2 sd^2 age / tau, the small-age form, by hand
    assert fused.variance.valence == pytest.approx(0.1 + 2 * 1.79**2 / 60, rel=0.01)
    assert fused.variance.arousal == pytest.approx(0.1 + 2 * 1.63**2 / 60, rel=0.01)
    assert fused.fresh_variance == pytest.approx((0.1, 0.1))
