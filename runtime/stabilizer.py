"""The affect steadied over time: an exponential moving average that too uncertain frames do not move."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from emomusic_edge.affect import DEFAULT_GATE
from emomusic_edge.contracts import FusedAffect, StableAffect, ValenceArousal


@dataclass(frozen=True, slots=True)
class StabilizerRule:
    """How the affect is steadied.

    Attributes:
        kind: `time_constant` moves by alpha = 1 - exp(-dt / time_constant_s), the same at any frame rate;
            `per_frame` by `alpha` each frame, whatever the time between (the seed's rule).
        time_constant_s: seconds after which 63 % of a step has come through, > 0.
        alpha: for `per_frame`: the share of the new frame, 0 < alpha <= 1.
        gate: variance per axis (FindingEmo units squared) above which a frame is held; None on an axis takes the gate
            that came with the fused affect, or affect.DEFAULT_GATE where no bundle states one. Held against it is the
            variance without what the age of an estimate added (FusedAffect.fresh_variance).
        stale_after_s: a hold older than this is told as stale.
    """

    kind: Literal["time_constant", "per_frame"] = "time_constant"
    time_constant_s: float = 2.0
    alpha: float = 0.7
    gate: tuple[float | None, float | None] = (None, None)
    stale_after_s: float = 30.0


@dataclass(slots=True)
class _Axis:
    value: float = 0.0
    variance: float = 0.0
    moved_at_s: float | None = None

    def update(self, mean: float, variance: float, alpha: float, now_s: float, *, passes: bool) -> bool:
        """Move towards `mean` by the share `alpha`, or hold; returns whether it was held."""
        if not passes:
            return True
        self.value = mean if self.moved_at_s is None else self.value + alpha * (mean - self.value)
        self.variance = variance
        self.moved_at_s = now_s
        return False


class Stabilizer:
    """`update(fused, now_s) -> StableAffect | None`, frame by frame; each axis is gated on its own.

    A frame over the gate moves nothing, inside or out (the seed moved the average behind the held output). Before
    the first accepted frame of both axes there is no stable affect.
    """

    def __init__(self, rule: StabilizerRule) -> None:
        self._rule = rule
        self._valence = _Axis()
        self._arousal = _Axis()
        self._last_frame_s: float | None = None
        self._held = (True, True)

    def update(self, fused: FusedAffect | None, now_s: float) -> StableAffect | None:
        """Take one frame's affect.

        Args:
            fused: in FindingEmo units; None when no model gave an estimate, which holds both axes.
            now_s: the frame's time, monotonic.

        Returns:
            The stable affect, or None before the first accepted frame.
        """
        # Since the last frame, held or not: were it since the last accepted one, the first frame after a long hold
        # would replace the average instead of moving it.
        elapsed_s = 0.0 if self._last_frame_s is None else max(now_s - self._last_frame_s, 0.0)
        self._last_frame_s = now_s
        rule = self._rule
        alpha = rule.alpha if rule.kind == "per_frame" else -math.expm1(-elapsed_s / rule.time_constant_s)
        self._held = (True, True)
        if fused is not None:
            stated = fused.gate or ValenceArousal(DEFAULT_GATE, DEFAULT_GATE)
            gate_valence, gate_arousal = rule.gate
            # A NaN variance does not pass.
            fresh = fused.variance if fused.fresh_variance is None else fused.fresh_variance
            passes = (
                fresh.valence <= (stated.valence if gate_valence is None else gate_valence),
                fresh.arousal <= (stated.arousal if gate_arousal is None else gate_arousal),
            )
            mean, variance = fused.mean, fused.variance
            self._held = (
                self._valence.update(mean.valence, variance.valence, alpha, now_s, passes=passes[0]),
                self._arousal.update(mean.arousal, variance.arousal, alpha, now_s, passes=passes[1]),
            )
        return self.at(now_s)

    def forget(self) -> None:
        """Begin anew: there is no stable affect until the next accepted frame."""
        self._valence, self._arousal = _Axis(), _Axis()
        self._last_frame_s, self._held = None, (True, True)

    def at(self, now_s: float) -> StableAffect | None:
        """What stands since the last frame, as old as it is by now; changes nothing."""
        if self._valence.moved_at_s is None or self._arousal.moved_at_s is None:
            return None
        age_s = max(now_s - min(self._valence.moved_at_s, self._arousal.moved_at_s), 0.0)
        return StableAffect(
            mean=ValenceArousal(self._valence.value, self._arousal.value),
            variance=ValenceArousal(self._valence.variance, self._arousal.variance),
            held=self._held,
            age_s=age_s,
            stale=age_s > self._rule.stale_after_s,
        )
