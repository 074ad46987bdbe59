from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.affect import DEFAULT_GATE
from emomusic_edge.contracts import AffectEstimate, Source, ValenceArousal
from emomusic_edge.runtime.fusion import FusionRule, fuse

means = st.builds(ValenceArousal, st.floats(-3, 3), st.floats(0, 6))
variances = st.builds(ValenceArousal, st.floats(0, 10), st.floats(0, 10))
rules = st.sampled_from([FusionRule(), FusionRule(kind="fixed")])


def estimate(
    source: Source, mean: tuple[float, float], variance: tuple[float, float], gate: float | None = None
) -> AffectEstimate:
    stated = None if gate is None else ValenceArousal(gate, gate)
    return AffectEstimate(source, ValenceArousal(*mean), ValenceArousal(*variance), 20, stated)


def test_no_estimates_give_none() -> None:
    assert fuse([], FusionRule()) is None


@given(means, variances, rules)
def test_one_source_alone_passes_through(mean: ValenceArousal, variance: ValenceArousal, rule: FusionRule) -> None:
    fused = fuse([AffectEstimate("scene", mean, variance, 20)], rule)
    assert fused is not None
    assert fused.mean == pytest.approx(mean)
    assert fused.variance == pytest.approx(tuple(max(v, rule.variance_floor) for v in variance))
    assert fused.weights == {"scene": (1.0, 1.0)}


@given(means, variances, means, variances)
def test_inverse_variance_is_the_seeds_formula_above_the_floor(
    scene: ValenceArousal, scene_var: ValenceArousal, face: ValenceArousal, face_var: ValenceArousal
) -> None:
    rule = FusionRule()
    fused = fuse([AffectEstimate("scene", scene, scene_var, 20), AffectEstimate("face", face, face_var, 20)], rule)
    assert fused is not None
    for axis in (0, 1):
        v1, v2 = max(scene_var[axis], rule.variance_floor), max(face_var[axis], rule.variance_floor)
        w1, w2 = 1 / v1, 1 / v2
        assert fused.mean[axis] == pytest.approx((w1 * scene[axis] + w2 * face[axis]) / (w1 + w2))
        assert fused.variance[axis] == pytest.approx(1 / (w1 + w2))
        assert fused.weights["scene"][axis] + fused.weights["face"][axis] == pytest.approx(1)


@given(means, variances, means, variances, rules)
def test_the_fused_mean_lies_between_and_nothing_explodes(
    scene: ValenceArousal, scene_var: ValenceArousal, face: ValenceArousal, face_var: ValenceArousal, rule: FusionRule
) -> None:
    fused = fuse([AffectEstimate("scene", scene, scene_var, 20), AffectEstimate("face", face, face_var, 20)], rule)
    assert fused is not None
    for axis in (0, 1):
        low, high = sorted((scene[axis], face[axis]))
        assert low - 1e-9 <= fused.mean[axis] <= high + 1e-9
        assert 0 < fused.variance[axis] <= max(scene_var[axis], face_var[axis], rule.variance_floor)
        assert math.isfinite(fused.variance[axis])


def test_a_variance_of_zero_gets_no_more_weight_than_the_floor() -> None:
    rule = FusionRule(variance_floor=0.01)
    fused = fuse([estimate("scene", (0, 3), (0.01, 0.01)), estimate("face", (2, 3), (0.0, 0.0))], rule)
    assert fused is not None
    assert fused.mean.valence == pytest.approx(1.0)


def test_fixed_weights_are_the_seeds() -> None:
    fused = fuse([estimate("scene", (1, 2), (1, 1)), estimate("face", (-1, 4), (1, 1))], FusionRule(kind="fixed"))
    assert fused is not None
    assert fused.mean == pytest.approx((0.6 * 1 - 0.4 * 1, 0.6 * 2 + 0.4 * 4))
    assert fused.variance == pytest.approx((0.36 + 0.16,) * 2)


def test_gates_are_none_when_no_bundle_states_one() -> None:
    fused = fuse([estimate("scene", (0, 3), (1, 1)), estimate("face", (0, 3), (1, 1))], FusionRule())
    assert fused is not None
    assert fused.gate is None


@given(st.floats(0.05, 5), st.floats(0.05, 5), rules)
def test_sources_exactly_at_their_gates_stand_exactly_at_the_fused_gate(a: float, b: float, rule: FusionRule) -> None:
    fused = fuse([estimate("scene", (0, 3), (a, a), gate=a), estimate("face", (1, 2), (b, b), gate=b)], rule)
    assert fused is not None
    assert fused.gate == pytest.approx(fused.variance)


def test_a_bundle_without_a_gate_counts_with_the_default_beside_one_that_states_its_own() -> None:
    fused = fuse([estimate("scene", (0, 3), (1, 1), gate=3.6), estimate("face", (1, 2), (1, 1))], FusionRule())
    assert fused is not None
    assert fused.gate == pytest.approx((1 / (1 / 3.6 + 1 / DEFAULT_GATE),) * 2)
