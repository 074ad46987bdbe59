"""The estimates of one frame made into one: inverse variance with a floor, or fixed weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from emomusic_edge.affect import DEFAULT_GATE
from emomusic_edge.contracts import AffectEstimate, FusedAffect, Source, ValenceArousal

from .scheduling.ageing import DEFAULT_CORRELATION_S, added_variance

# With T samples the sampled variance is itself uncertain (33 % at T = 20), and with dropout lost on the way it is 0:
# below this floor (FindingEmo units squared, an sd of 0.1) a smaller variance says nothing and weighs nothing more.
DEFAULT_VARIANCE_FLOOR = 0.01

_NOTHING = ValenceArousal(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class FusionRule:
    """How estimates are weighed.

    Attributes:
        kind: `inverse_variance` weighs each axis by 1 / max(variance, floor); `fixed` by `weights`.
        variance_floor: FindingEmo units squared, > 0.
        weights: for `fixed`: the share of each source, > 0; shares of the sources at hand are scaled to sum to 1.
        correlation_s: how fast an estimate that was not made anew loses certainty (scheduling.added_variance).
    """

    kind: Literal["inverse_variance", "fixed"] = "inverse_variance"
    variance_floor: float = DEFAULT_VARIANCE_FLOOR
    weights: Mapping[Source, float] = field(default_factory=lambda: {"scene": 0.6, "face": 0.4})
    correlation_s: float = DEFAULT_CORRELATION_S


def fuse(estimates: Sequence[AffectEstimate], rule: FusionRule) -> FusedAffect | None:
    """Fuse the estimates of one frame, axis by axis.

    Inverse variance: the maximum-likelihood mean of independent Gaussian estimates, with variance 1 / sum(1 / v_i).
    Fixed weights: the weighted mean, with variance sum(w_i^2 v_i), that of a weighted sum of independent estimates.
    One source alone passes through as it is (with the floor). An estimate of an earlier picture counts with the
    variance that its age has brought it to.

    Args:
        estimates: one for each source at most, in FindingEmo units.
        rule: how to weigh them.

    Returns:
        The fused affect, or None when there are no estimates.
    """
    if not estimates:
        return None
    added = [added_variance(e.age_s, rule.correlation_s) if e.age_s > 0.0 else _NOTHING for e in estimates]
    grown = list(zip(estimates, added, strict=True))
    valence = _fuse_axis([(e.source, e.mean.valence, e.variance.valence + a.valence) for e, a in grown], rule)
    arousal = _fuse_axis([(e.source, e.mean.arousal, e.variance.arousal + a.arousal) for e, a in grown], rule)
    return FusedAffect(
        mean=ValenceArousal(valence[0], arousal[0]),
        variance=ValenceArousal(valence[1], arousal[1]),
        weights={e.source: ValenceArousal(valence[2][e.source], arousal[2][e.source]) for e in estimates},
        gate=_fuse_gates(estimates, rule),
        fresh_variance=_fresh_variance(estimates, rule) if any(e.age_s > 0.0 for e in estimates) else None,
    )


def _fresh_variance(estimates: Sequence[AffectEstimate], rule: FusionRule) -> ValenceArousal:
    """The fused variance that would result if every estimate were of this very frame."""
    return ValenceArousal(
        _fuse_axis([(e.source, 0.0, e.variance.valence) for e in estimates], rule)[1],
        _fuse_axis([(e.source, 0.0, e.variance.arousal) for e in estimates], rule)[1],
    )


def _fuse_gates(estimates: Sequence[AffectEstimate], rule: FusionRule) -> ValenceArousal | None:
    """The fused variance that would result if every source stood exactly at its own gate.

    A source at its gate therefore neither opens nor closes it for the others. Sources whose bundle states none count
    with the default; where none states one, the fused variance itself meets the default (or the config's gate).
    """
    if all(e.gate is None for e in estimates):
        return None
    default = ValenceArousal(DEFAULT_GATE, DEFAULT_GATE)
    gates = [(e.source, e.gate or default) for e in estimates]
    return ValenceArousal(
        _fuse_axis([(source, 0.0, gate.valence) for source, gate in gates], rule)[1],
        _fuse_axis([(source, 0.0, gate.arousal) for source, gate in gates], rule)[1],
    )


def _fuse_axis(
    values: Sequence[tuple[Source, float, float]], rule: FusionRule
) -> tuple[float, float, Mapping[Source, float]]:
    floored = [(source, mean, max(variance, rule.variance_floor)) for source, mean, variance in values]
    if rule.kind == "fixed":
        raw = {source: rule.weights[source] for source, _, _ in floored}
    else:
        raw = {source: 1.0 / variance for source, _, variance in floored}
    total = sum(raw.values())
    shares = {source: weight / total for source, weight in raw.items()}
    mean = sum(shares[source] * value for source, value, _ in floored)
    variance = sum(shares[source] ** 2 * value for source, _, value in floored)
    return mean, variance, shares
