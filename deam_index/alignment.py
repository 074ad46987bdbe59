"""Aligns the two scales of affect: a point of a person (FindingEmo) to the point of music (DEAM) that matches it.

The map decides variety. Over 20,000 queries drawn from FindingEmo's annotations, the nearest songs of DEAM amount to
some 90 of 1,802 (exp of the entropy) under `linear`, since most of the plane holds no music, to some 700 under
`standardise`, and to some 760 under `quantile`, which is why it is the default: docs/music-index.md weighs it.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.affect import DEAM, FINDINGEMO
from emomusic_edge.contracts import ValenceArousal

from .music_index import MusicIndex

# How often each rating was given in FindingEmo's 25,869 annotations: valence -3..3, arousal 0..6. Counted in the
# package findingemo-light 1.0.0 of its authors (Mertens et al., NeurIPS 2024); the data set is CC BY-NC-SA 4.0, and
# these fourteen counts are all of it that stands here.
_VALENCE_COUNTS = (1870, 3029, 3570, 3403, 5804, 5141, 3052)
_AROUSAL_COUNTS = (1412, 4577, 5397, 5133, 4524, 3025, 1801)


class AlignmentMethod(str, Enum):
    """How a FindingEmo point becomes a DEAM point; each axis by itself, rising, clipped to -1..1."""

    STANDARDISE = "standardise"
    """Standard score for standard score: (x - FindingEmo mean) / FindingEmo sd * index sd + index mean."""

    LINEAR = "linear"
    """Bounds to bounds: valence / 3, arousal / 3 - 1."""

    QUANTILE = "quantile"
    """Rank for rank: where x ranks among FindingEmo's ratings, looked up in the index's quantiles."""


DEFAULT_METHOD = AlignmentMethod.QUANTILE
"""What `run` uses where `music.alignment` is not set."""


class Alignment:
    """One method, made ready for one index.

    Attributes:
        method: which one.
    """

    def __init__(self, index: MusicIndex, method: AlignmentMethod = DEFAULT_METHOD) -> None:
        self.method = method
        self._mean = index.reference_mean
        self._sd = index.reference_sd
        self._quantiles = index.reference_quantiles.astype(np.float64)
        self._levels = np.linspace(0.0, 1.0, len(self._quantiles))

    def to_music(self, point: ValenceArousal) -> ValenceArousal:
        """The DEAM point (-1..1) for a FindingEmo point; one beyond FindingEmo's bounds counts as on them."""
        point = FINDINGEMO.clip(point)
        return DEAM.clip(ValenceArousal(self._axis(0, point.valence), self._axis(1, point.arousal)))

    def to_felt(self, point: ValenceArousal) -> ValenceArousal:
        """The FindingEmo point that `to_music` brings to a DEAM point, or that comes nearest to it on each axis."""
        return FINDINGEMO.clip(ValenceArousal(self._felt_axis(0, point.valence), self._felt_axis(1, point.arousal)))

    def _felt_axis(self, axis: int, value: float) -> float:
        if self.method is AlignmentMethod.LINEAR:
            low, high = FINDINGEMO.low[axis], FINDINGEMO.high[axis]
            return low + (value - DEAM.low[axis]) / (DEAM.high[axis] - DEAM.low[axis]) * (high - low)
        if self.method is AlignmentMethod.QUANTILE:
            quantiles = self._quantiles[:, axis]
            ratings, shares = _RIDITS[axis]
            share = np.interp(value, *ranks_of(quantiles))
            return float(np.interp(share, shares, ratings))
        # All songs alike: nothing felt leads elsewhere.
        score = (value - self._mean[axis]) / self._sd[axis] if self._sd[axis] > 0 else 0.0
        return FINDINGEMO.mean[axis] + score * FINDINGEMO.sd[axis]

    def _axis(self, axis: int, value: float) -> float:
        if self.method is AlignmentMethod.LINEAR:
            low, high = FINDINGEMO.low[axis], FINDINGEMO.high[axis]
            return DEAM.low[axis] + (value - low) / (high - low) * (DEAM.high[axis] - DEAM.low[axis])
        if self.method is AlignmentMethod.QUANTILE:
            quantiles = self._quantiles[:, axis]
            share = np.interp(value, *_RIDITS[axis])
            return float(np.interp(share, self._levels, quantiles))
        score = (value - FINDINGEMO.mean[axis]) / FINDINGEMO.sd[axis]
        return self._mean[axis] + score * self._sd[axis]


def ranks_of(quantiles: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of evenly spaced quantiles, 0 to 1, that never fall: the values among them, rising, and the rank of each.

    Quantiles that are equal are a value of many: its rank is the middle of theirs. The outermost values were given a
    rank inside by `build.quantiles_of` where they are many: there it is where the quantiles leave them.
    """
    levels = np.linspace(0.0, 1.0, len(quantiles))
    values, first, counts = np.unique(quantiles, return_index=True, return_counts=True)
    low, high = levels[first], levels[first + counts - 1]
    ranks = (low + high) / 2
    if len(values) > 1:
        ranks[0], ranks[-1] = high[0], low[-1]
    return values, ranks


def _ridits(counts: tuple[int, ...], low: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ratings, and the ridit of each: the share of ratings below it plus half the share of its own.

    Ridits (Bross, Biometrics 14(1), 1958) rank a coarse scale so that the mean rank is a half. They also keep the
    outermost ratings, a tenth of all, off the one outermost song.
    """
    share = np.array(counts, np.float64) / sum(counts)
    return low + np.arange(len(counts), dtype=np.float64), np.cumsum(share) - share / 2


_RIDITS = (
    _ridits(_VALENCE_COUNTS, FINDINGEMO.low.valence),
    _ridits(_AROUSAL_COUNTS, FINDINGEMO.low.arousal),
)

RATINGS_GIVEN = tuple(
    (low + np.arange(len(counts), dtype=np.float64), np.array(counts, np.float64))
    for counts, low in ((_VALENCE_COUNTS, FINDINGEMO.low.valence), (_AROUSAL_COUNTS, FINDINGEMO.low.arousal))
)
"""FindingEmo's ratings and how often each was given: valence, then arousal."""

PEOPLE_KEY = "people"


def people_reference() -> str:
    """What the mappings take people's affect to be like, as an index's provenance keeps it beside its own statistics.

    `standardise` uses mean and sd, `quantile` the counts, `linear` the bounds.
    """
    (_, valence), (_, arousal) = RATINGS_GIVEN
    axes = []
    for axis, counts in enumerate((valence, arousal)):
        bounds = f"{FINDINGEMO.low[axis]:g}..{FINDINGEMO.high[axis]:g}"
        told = f"mean {FINDINGEMO.mean[axis]:g}, sd {FINDINGEMO.sd[axis]:g}"
        axes.append(f"{('valence', 'arousal')[axis]} {bounds}, {told}, counts {' '.join(f'{n:g}' for n in counts)}")
    return f"{FINDINGEMO.name}: {'; '.join(axes)}"


def other_people(index: MusicIndex) -> str:
    """The reference of people that an index was made with, where it is another than the one in use; "" if it is not.

    An index that states none, an older one, gives "".
    """
    stated = (text for key, text in index.provenance.items() if key.rpartition(": ")[2] == PEOPLE_KEY)
    return next((text for text in stated if text != people_reference()), "")
