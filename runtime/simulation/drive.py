"""Drives the music's logic, ours or the seed's, over a series of affect, and writes down what played when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import FusedAffect, Segment, StableAffect, ValenceArousal
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.stabilizer import Stabilizer

from .seed_rules import SeedMatcher, SeedStabilizer
from .series import AffectSeries

SILENCE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What played over the n frames of a series.

    Attributes:
        play: int64 [n], which of the plays, counted from 0; SILENCE where nothing sounded.
        songs: [plays], the song id of each.
        points: float64 [plays, 2], the affect of the window that each was chosen for, DEAM units.
        stable: float64 [n, 2], the steadied feeling, FindingEmo units; NaN before the first.
        sought: float64 [n, 2], where the mode sought music, DEAM units; NaN where nowhere. None from the seed's rules,
            which know no modes.
    """

    play: NDArray[np.int64]
    songs: tuple[str, ...]
    points: NDArray[np.float64]
    stable: NDArray[np.float64]
    sought: NDArray[np.float64] | None = None


def drive_ours(series: AffectSeries, stabilizer: Stabilizer, music: Music) -> Played:
    """Step the real stabilizer and music, as the loop does.

    Args:
        series: what is seen.
        stabilizer: fresh; left out where the series was steadied already.
        music: fresh, on a player without a device.
    """
    count = len(series.t_s)
    play, stables, sought = np.full(count, SILENCE, np.int64), np.full((count, 2), np.nan), np.full((count, 2), np.nan)
    segments: list[Segment] = []
    last: Segment | None = None
    seen: list[bool] = np.isfinite(series.mean).all(axis=1).astype(bool).tolist()
    rows = zip(series.t_s.tolist(), series.mean.tolist(), series.variance.tolist(), seen, strict=True)
    stable: StableAffect | None = None
    for row, (now_s, mean, variance, there) in enumerate(rows):
        point, spread = ValenceArousal(*mean), ValenceArousal(*variance)
        if not series.steady:
            stable = stabilizer.update(FusedAffect(point, spread, {}) if there else None, now_s)
        elif there:
            stable = StableAffect(point, spread, (False, False), 0.0)
        state = music.step(stable, now_s)
        playback = state.playback
        if state.target is not None:
            sought[row] = state.target
        if stable is not None:
            stables[row] = stable.mean
        playing = playback.segment
        if playing is None:
            last = None
            continue
        if playing is not last:
            last = playing
            segments.append(playing)
        if playback.position_s < playing.song_end_s:
            play[row] = len(segments) - 1
    points = np.array([(segment.valence, segment.arousal) for segment in segments], np.float64).reshape(-1, 2)
    return Played(play, tuple(segment.song_id for segment in segments), points, stables, sought)


def drive_seed(series: AffectSeries, index: MusicIndex) -> Played:
    """Step the seed's rules; frames without an estimate move nothing."""
    count = len(series.t_s)
    play, stables = np.full(count, SILENCE, np.int64), np.full((count, 2), np.nan)
    stabilizer, matcher = SeedStabilizer(), SeedMatcher(index)
    rows: list[int] = []
    stable: NDArray[np.float64] | None = None
    began_s = 0.0
    for row, now_s in enumerate(series.t_s.tolist()):
        mean = series.mean[row]
        if np.isfinite(mean).all():
            stable = mean if series.steady else stabilizer.update(mean, series.variance[row])
        if stable is None:
            continue
        stables[row] = stable
        window = matcher.recommend(stable, now_s)
        if not rows or window != rows[-1]:
            rows.append(window)
            began_s = now_s
        if index.start_s[window] + now_s - began_s < index.song_end_s[index.song[window]]:
            play[row] = len(rows) - 1
    songs = tuple(index.song_ids[int(index.song[window])] for window in rows)
    return Played(play, songs, index.points[rows].astype(np.float64).reshape(-1, 2), stables)
