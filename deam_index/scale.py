"""The scale that ratings are on, as a person states it, and the way from it to -1..1."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from emomusic_edge.errors import ConfigError

_RANGE = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*\.\.\s*([-+]?\d+(?:\.\d+)?)\s*", re.ASCII)
_MEND = "State the lowest and highest rating: --scale 1..9 for both axes, or --scale -3..3,0..6 (valence, arousal)."


@dataclass(frozen=True, slots=True)
class RatingScale:
    """Bounds of valence and arousal.

    Attributes:
        low, high: (valence, arousal), low below high.
    """

    low: tuple[float, float]
    high: tuple[float, float]

    def to_music(self, axis: int, rating: float) -> float:
        """A rating within the bounds as -1..1: bounds to bounds, the middle to 0."""
        low, high = self.low[axis], self.high[axis]
        return min(1.0, max(-1.0, 2.0 * (rating - low) / (high - low) - 1.0))

    def __str__(self) -> str:
        valence, arousal = (f"{low:g}..{high:g}" for low, high in zip(self.low, self.high, strict=True))
        return valence if valence == arousal else f"{valence},{arousal}"


def parse_scale(text: str) -> RatingScale:
    """Read `LOW..HIGH`, or `LOW..HIGH,LOW..HIGH` for valence and arousal.

    Raises:
        ConfigError: it is neither.
    """
    parts = text.split(",")
    ranges = [_RANGE.fullmatch(part) for part in (parts if len(parts) > 1 else parts * 2)]
    if len(ranges) != 2 or None in ranges:
        raise ConfigError(f"--scale is {text!r}; LOW..HIGH or LOW..HIGH,LOW..HIGH was expected.", mend=_MEND)
    low, high = (tuple(float(found[group]) for found in ranges if found) for group in (1, 2))
    if not all(math.isfinite(high_ - low_) and low_ < high_ for low_, high_ in zip(low, high, strict=True)):
        raise ConfigError(f"--scale is {text!r}; the lower bound must come first.", mend=_MEND)
    return RatingScale((low[0], low[1]), (high[0], high[1]))
