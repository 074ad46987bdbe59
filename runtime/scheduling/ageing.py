"""How much less an estimate is worth the longer it stands."""

from __future__ import annotations

import math

from emomusic_edge.affect import FINDINGEMO
from emomusic_edge.contracts import ValenceArousal

# A choice, not a measurement: between an expression on a face (seconds) and an episode of emotion (minutes and more).
DEFAULT_CORRELATION_S = 60.0


def added_variance(age_s: float, correlation_s: float) -> ValenceArousal:
    """What `age_s` adds to the variance of an estimate that was not made anew, in FindingEmo units squared.

    The affect of a room is taken for an Ornstein-Uhlenbeck process (Uhlenbeck and Ornstein 1930): it keeps the spread
    of FindingEmo's annotations, sd s, and is correlated by exp(-age / correlation_s) with what it was. Between then and
    now it moved by 2 s^2 (1 - exp(-age / correlation_s)) in the mean square; for small ages 2 s^2 age / correlation_s.
    That is the drift of rooms whether or not their picture changed, so for an unchanged one it is an upper bound.

    Args:
        age_s: since the picture was taken that the estimate is of; a negative one counts as 0.
        correlation_s: > 0.
    """
    share = -2.0 * math.expm1(-max(age_s, 0.0) / correlation_s)
    return ValenceArousal(share * FINDINGEMO.sd.valence**2, share * FINDINGEMO.sd.arousal**2)
