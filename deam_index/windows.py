"""Cuts a song's annotations into overlapping windows and takes the mean of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .annotations import STEP_S, SongAnnotation

WINDOW_S = 10.0
OVERLAP = 0.5

# A window with fewer of its instants annotated than this tells more of the gap than of the music.
LEAST_PRESENT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The windows of one song, in the order of time; n may be 0.

    Attributes:
        points: float64 [n, 2], the mean valence and arousal over the annotated instants, -1..1.
        start_s, end_s: float64 [n], in seconds of the song.
    """

    points: NDArray[np.float64]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]


def windows_of(song: SongAnnotation, *, window_s: float = WINDOW_S, overlap: float = OVERLAP) -> Windows:
    """Windows of `window_s` that overlap by the given share; the last that fits is kept, a shorter rest is not.

    A window that holds missing instants is the mean of the others, if they are at least half (LEAST_PRESENT) of it;
    else it is left out.

    Args:
        song: its annotations.
        window_s: a multiple of STEP_S; instant i stands for the STEP_S seconds from it on, so that 20 instants are
            10 s.
        overlap: 0 <= overlap < 1.
    """
    length = round(window_s / STEP_S)
    step = max(1, round(length * (1 - overlap)))
    starts = np.arange(0, len(song.values) - length + 1, step)
    if len(starts) == 0:
        return Windows(np.empty((0, 2)), np.empty(0), np.empty(0))
    cut = song.values[starts[:, None] + np.arange(length)]
    present = ~np.isnan(cut[:, :, 0])
    kept = present.sum(axis=1) >= LEAST_PRESENT * length
    points = np.nanmean(cut[kept], axis=1)
    start_s = song.first_s + starts[kept] * STEP_S
    return Windows(points, start_s, start_s + length * STEP_S)
