"""What a simulated evening comes to: emotional distance, switches, dwell, variety, silence."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import ValenceArousal

from .drive import SILENCE, Played
from .series import AffectSeries

TOP = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """One rule over one series.

    Attributes:
        hours: of the series.
        distance: DEAM units, mean over the time that music sounded, between the song and the person's feeling as the
            rule itself maps it; NaN where nothing sounded.
        distance_standardised: the same with the feeling mapped by `standardise`, whatever the rule does.
        switches_per_hour: changes of song.
        distance_p10, distance_p50, distance_p90: of `distance` over that time: so much of it the song was nearer.
        goal_distance: DEAM units, mean over the same time, between the song and what the mode sought (`calm` and
            `energize` their goal, `guide` the point that its way had come to, `mirror` the steadied feeling); None
            where nobody told what was sought.
        goal_distance_p10, goal_distance_p50, goal_distance_p90: likewise.
        dwell_median_s, dwell_p10_s, dwell_p90_s, dwell_shortest_s, dwell_longest_s: how long a song sounded; the last
            one, which the end cut short, is left out.
        songs: how many different ones.
        effective_songs: exp of the entropy of the plays.
        top_share: of the plays, of the TOP most played songs.
        repeat_median_songs, repeat_least_songs: how many plays after one a song came again; None without a repeat.
        repeat_median_min: the same in minutes.
        silent_share: of the time from the first song on.
    """

    hours: float
    distance: float
    distance_p10: float
    distance_p50: float
    distance_p90: float
    distance_standardised: float
    goal_distance: float | None
    goal_distance_p10: float | None
    goal_distance_p50: float | None
    goal_distance_p90: float | None
    switches_per_hour: float
    dwell_p10_s: float
    dwell_median_s: float
    dwell_p90_s: float
    dwell_shortest_s: float
    dwell_longest_s: float
    songs: int
    effective_songs: float
    top_share: float
    repeat_median_songs: float | None
    repeat_least_songs: int | None
    repeat_median_min: float | None
    silent_share: float


Mapping = Callable[[ValenceArousal], ValenceArousal]


def aligned(feeling: NDArray[np.float64], mapping: Mapping) -> NDArray[np.float64]:
    """A series of feelings, float64 [n, 2] in FindingEmo units, on the plane of music; NaN stays NaN."""
    values = np.full_like(feeling, np.nan)
    known: dict[tuple[float, float], ValenceArousal] = {}
    for row, (valence, arousal) in enumerate(feeling.tolist()):
        if not math.isnan(valence):
            point = known.get((valence, arousal))
            if point is None:
                point = known[(valence, arousal)] = mapping(ValenceArousal(valence, arousal))
            values[row] = point
    return values


def distances(played: Played, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Float64 [n]: from the target to what sounds; NaN in silence and without a target."""
    found = np.full(len(target), np.nan)
    sounds = played.play != SILENCE
    offset = played.points[played.play[sounds]] - target[sounds]
    found[sounds] = np.hypot(offset[:, 0], offset[:, 1])
    return found


def spans_s(played: Played, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Float64 [plays, 2]: when each began and ended to sound, in seconds."""
    ends_s = np.append(t_s[1:], t_s[-1])
    sounds = np.flatnonzero(played.play != SILENCE)
    first = np.full(len(played.songs), len(t_s) - 1)
    last = np.zeros(len(played.songs), np.int64)
    np.minimum.at(first, played.play[sounds], sounds)
    np.maximum.at(last, played.play[sounds], sounds)
    return np.column_stack([t_s[first], np.maximum(ends_s[last], t_s[first])])


def figures(series: AffectSeries, played: Played, feeling: NDArray[np.float64], own: Mapping, fair: Mapping) -> Figures:
    """The figures of one rule.

    Args:
        series: what it ran on.
        played: what it played.
        feeling: float64 [n, 2], how the person felt, FindingEmo units.
        own: the rule's mapping to the plane of music.
        fair: the mapping that both rules are measured by.
    """
    spans = spans_s(played, series.t_s)
    dwell_s = (spans[:, 1] - spans[:, 0])[:-1] if len(spans) > 1 else spans[:, 1] - spans[:, 0]
    counts = np.array(sorted(Counter(played.songs).values(), reverse=True), np.float64)
    shares = counts / counts.sum() if len(counts) else counts
    last: dict[str, int] = {}
    gaps, minutes = [], []
    for place, song in enumerate(played.songs):
        if song in last:
            gaps.append(place - last[song])
            minutes.append((spans[place, 0] - spans[last[song], 1]) / 60)
        last[song] = place
    sounds = played.play != SILENCE
    began = int(np.argmax(sounds)) if sounds.any() else len(sounds)
    felt = distances(played, aligned(feeling, own))
    p10, p50, p90 = _quantiles(felt)
    goal = None if played.sought is None else distances(played, played.sought)
    goals: tuple[float | None, float | None, float | None] = (None, None, None) if goal is None else _quantiles(goal)
    return Figures(
        hours=series.hours,
        distance=_mean(felt),
        distance_p10=p10,
        distance_p50=p50,
        distance_p90=p90,
        distance_standardised=_mean(distances(played, aligned(feeling, fair))),
        goal_distance=None if goal is None else _mean(goal),
        goal_distance_p10=goals[0],
        goal_distance_p50=goals[1],
        goal_distance_p90=goals[2],
        switches_per_hour=max(len(played.songs) - 1, 0) / series.hours if series.hours > 0 else 0.0,
        dwell_p10_s=_quantiles(dwell_s)[0],
        dwell_median_s=_quantiles(dwell_s)[1],
        dwell_p90_s=_quantiles(dwell_s)[2],
        dwell_shortest_s=float(dwell_s.min()) if len(dwell_s) else math.nan,
        dwell_longest_s=float(dwell_s.max()) if len(dwell_s) else math.nan,
        songs=len(counts),
        effective_songs=float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0,
        top_share=float(shares[:TOP].sum()),
        repeat_median_songs=float(np.median(gaps)) if gaps else None,
        repeat_least_songs=min(gaps) if gaps else None,
        repeat_median_min=float(np.median(minutes)) if minutes else None,
        silent_share=float((~sounds[began:]).mean()) if began < len(sounds) else 1.0,
    )


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _quantiles(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """The 10 %, 50 % and 90 % quantiles of what is known; NaN where nothing is."""
    known = values[np.isfinite(values)]
    if not len(known):
        return math.nan, math.nan, math.nan
    p10, p50, p90 = np.quantile(known, (0.1, 0.5, 0.9)).tolist()
    return p10, p50, p90
