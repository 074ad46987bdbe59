"""The seed's rules, written anew from its description, to hold ours against.

`AdaptiveStabilizer`: an average by alpha a frame, from the first frame on, that goes on behind a held output.
`SegmentMatcher`: linear mapping, 25 s of dwell, five recent songs among which the playing one counts, twenty
neighbours, and the nearest of all where these are all recent. It knows no end of a song: what it names plays from the
segment's start to the end of the sound, and after that there is silence until it names another.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.deam_index.window_grid import WindowGrid

ALPHA = 0.7
THRESHOLD = 0.4
DWELL_S = 25.0
RECENT = 5
NEIGHBOURS = 20


class SeedStabilizer:
    """The seed's AdaptiveStabilizer."""

    def __init__(self) -> None:
        self._average: NDArray[np.float64] | None = None
        self._held = np.zeros(2)

    def update(self, mean: NDArray[np.float64], variance: NDArray[np.float64]) -> NDArray[np.float64]:
        """A frame's estimate in, the stable value out; float64 [2] each, FindingEmo units."""
        if self._average is None:
            self._average = mean.copy()
            self._held = mean.copy()
            return self._held
        self._average = ALPHA * mean + (1 - ALPHA) * self._average
        self._held = np.where(variance > THRESHOLD, self._held, self._average)
        return self._held


class SeedMatcher:
    """The seed's SegmentMatcher over an index, in DEAM units of -1..1."""

    def __init__(self, index: MusicIndex) -> None:
        self._index = index
        self._windows = WindowGrid(index.points)
        self._recent: deque[int] = deque(maxlen=RECENT)
        self._current: int | None = None
        self._since_s = 0.0

    def recommend(self, stable: NDArray[np.float64], now_s: float) -> int:
        """The row of the window that is recommended now."""
        if self._current is not None and now_s - self._since_s < DWELL_S:
            return self._current
        _, rows = self._windows.nearest(seed_mapping(stable), NEIGHBOURS)
        songs = self._index.song[rows]
        others = [row for row, song in zip(rows, songs, strict=True) if int(song) not in self._recent]
        best = int(others[0] if others else rows[0])
        song = int(self._index.song[best])
        if self._current is None or song != int(self._index.song[self._current]):
            self._current, self._since_s = best, now_s
            self._recent.append(song)
        return self._current


def seed_mapping(point: NDArray[np.float64]) -> NDArray[np.float64]:
    """The seed's fe_to_deam, scaled from -10..10 to -1..1."""
    return np.array([point[0] / 3.0, point[1] / 3.0 - 1.0])
