"""Builds what makes the estimates one and steadies them."""

from __future__ import annotations

from emomusic_edge.config import Settings
from emomusic_edge.runtime.fusion import FusionRule
from emomusic_edge.runtime.stabilizer import Stabilizer, StabilizerRule


def fusion_rule(settings: Settings) -> FusionRule:
    """The fusion as set."""
    return FusionRule(
        kind=settings.fusion.rule,
        variance_floor=settings.fusion.variance_floor,
        weights={"scene": settings.fusion.scene_weight, "face": settings.fusion.face_weight},
        correlation_s=settings.fusion.correlation_s,
    )


def stabilizer_of(settings: Settings) -> Stabilizer:
    """The stabilizer as set."""
    stabilizer = settings.stabilizer
    return Stabilizer(
        StabilizerRule(
            kind=stabilizer.rule,
            time_constant_s=stabilizer.time_constant_s,
            alpha=stabilizer.alpha,
            gate=(stabilizer.gate_valence, stabilizer.gate_arousal),
            stale_after_s=stabilizer.stale_after_s,
        )
    )
