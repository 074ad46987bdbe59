"""Scales of affect: FindingEmo (people in pictures), DEAM (music), and a mood label for a point.

FindingEmo: Mertens et al., "FindingEmo: An Image Dataset for Emotion Recognition in the Wild", NeurIPS 2024.
DEAM: Aljanaki, Yang, Soleymani, "Developing a benchmark for emotional analysis of music", PLoS ONE 12(3), 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from emomusic_edge.contracts import ValenceArousal


@dataclass(frozen=True, slots=True)
class AffectScale:
    """Bounds and reference statistics of a valence-arousal scale.

    Attributes:
        low, high: the bounds of each axis, in the scale's own units.
        mean, sd: over the annotations that define the scale's use in practice.
    """

    name: str
    low: ValenceArousal
    high: ValenceArousal
    mean: ValenceArousal
    sd: ValenceArousal

    def clip(self, point: ValenceArousal) -> ValenceArousal:
        """The nearest point within the bounds."""
        return ValenceArousal(
            min(max(point.valence, self.low.valence), self.high.valence),
            min(max(point.arousal, self.low.arousal), self.high.arousal),
        )

    def contains(self, point: ValenceArousal) -> bool:
        """Whether a point is finite and within the bounds."""
        return (
            self.low.valence <= point.valence <= self.high.valence
            and self.low.arousal <= point.arousal <= self.high.arousal
        )


FINDINGEMO = AffectScale(
    name="FindingEmo",
    low=ValenceArousal(-3.0, 0.0),
    high=ValenceArousal(3.0, 6.0),
    # over its 25,869 annotations
    mean=ValenceArousal(0.39, 2.89),
    sd=ValenceArousal(1.79, 1.63),
)

DEAM = AffectScale(
    name="DEAM",
    low=ValenceArousal(-1.0, -1.0),
    high=ValenceArousal(1.0, 1.0),
    # over the dynamic annotations of its 1,802 songs, at 2 Hz
    mean=ValenceArousal(0.077, 0.127),
    sd=ValenceArousal(0.251, 0.283),
)

# The seed's uncertainty threshold: a variance (FindingEmo units squared, per axis) above it is too uncertain to act on.
DEFAULT_GATE = 0.4

# Russell, "A circumplex model of affect", Journal of Personality and Social Psychology 39(6), 1980: eight concepts of
# affect, 45 degrees apart, counted here from pleasure over arousal.
RUSSELL_1980 = (
    "pleasure",
    "excitement",
    "arousal",
    "distress",
    "misery",
    "depression",
    "sleepiness",
    "contentment",
)
NEUTRAL = "neutral"
MOOD_LABELS = (NEUTRAL, *RUSSELL_1980)

# Within a third of the scale's half-range of its middle no direction is worth a name: the neutral face of the starter
# model, (0, 2), lies just inside.
NEUTRAL_RADIUS = 1.0


def mood_label(point: ValenceArousal) -> str:
    """Name a point by the nearest of Russell's (1980) eight concepts, or `neutral` near the scale's middle.

    Args:
        point: in FindingEmo units; the middle is valence 0, arousal 3.

    Returns:
        One of MOOD_LABELS.
    """
    x = point.valence
    y = point.arousal - 3.0
    if math.hypot(x, y) <= NEUTRAL_RADIUS:
        return NEUTRAL
    return RUSSELL_1980[round(math.degrees(math.atan2(y, x)) / 45.0) % 8]
