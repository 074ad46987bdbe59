"""The rule of the choice: which window is played for a target, stated once, here.

Distances are Euclidean, in DEAM units, between the target and a window's point. A song that leaves no start with the
dwell time before its closing fade is looked at only when no other song outside the recent ones is left.

1. *Recent* songs, the last `recent` chosen and the playing one, are out.
2. A song is *fresh* when it is not among the last `spacing` chosen. If the affect radius holds fresh songs, these
   are the candidates.
3. Otherwise the nearest fresh song within reach is taken. Reach is the margin beyond the nearest song of all, the
   difference that is not worth a switch, and no less than the radius. So a region with at most `spacing` songs is
   played through before one repeats.
4. If nothing within reach is fresh, the candidates are all songs within reach.
5. If nothing is within reach, the nearest song is taken.
6. If all songs are recent, the one played longest ago is taken, the playing one only when it is alone.

Among candidates (2 and 4), each with its nearest start, the one played longest ago is the *first*: one never played
before all others; then the nearest; then the lower row. It is taken, unless likes, dislikes or skips are known of the
*due*: of the quarter played longest ago, and all that were never played, those whose distance differs from the first's
by at most the radius. Then each due song, in this order, draws from its posterior, and the highest draw is taken
(Thompson, "On the likelihood that one unknown probability exceeds another", Biometrika 25, 1933).

So what is known of songs never moves the choice by more than the radius. Nor does it bring a song back while a fresh
one is within reach, nor, where none is, before three quarters of the candidates were played since.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.deam_index.mapped import release_pages
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.deam_index.window_grid import WindowGrid

from .feedback import Counts

DUE_SHARE = 4
"""One in so many candidates is due, rounded up."""

# Trees and numpy round differently: what lies this near to a bound is looked at again.
_TIE = 1e-9
_FIRST_K = 32
# Rows looked at together: of two million, all at once would hold a map of the whole file and arrays beside it.
_SLICE = 1 << 16

_NOTHING = Counts()

_Allowed = Callable[[NDArray[np.integer]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class ChoiceRule:
    """The numbers in the rule.

    Attributes:
        radius: the affect radius, DEAM units, >= 0.
        margin: a difference in distance that is not worth a switch, DEAM units, >= 0.
        recent: so many songs chosen last are never taken while another is left; >= 0.
        spacing: so many songs chosen last are not taken again while a fresh one is within reach.
        dwell_s: how long a song plays at least, >= 0.
        fade_s: the closing fade, which ends with the sound.
    """

    radius: float = 0.03
    margin: float = 0.1
    recent: int = 5
    spacing: int = 100
    dwell_s: float = 25.0
    fade_s: float = 2.0


class SongChoice:
    """The rule over one index, with its memory of what was played. No clock: the order of choices is all it keeps."""

    def __init__(self, index: MusicIndex, playable: NDArray[np.bool_], rule: ChoiceRule, *, seed: int = 0) -> None:
        """Sort the windows for the search.

        Args:
            index: N windows of S songs.
            playable: bool [S], which songs may be chosen; `withdraw` and `allow` change it later.
            rule: the numbers.
            seed: of the draws among due songs; equal seeds and equal questions give equal songs.
        """
        self._index = index
        self._rule = rule
        self._playable = playable.copy()
        rows, self._late_rows = _whole_and_late(index, playable, rule)
        self._whole = WindowGrid(index.points, None if len(rows) == index.window_count else rows)
        self._late: WindowGrid | None = None
        self._stamp = np.zeros(index.song_count, np.int64)  # 0 never, else higher for a later choice
        self._order: dict[int, None] = {}  # songs by their last choice
        self._choices = 0
        self._recent_above = 0
        self._stale_above = 0
        self._counts: dict[int, Counts] = {}
        self._generator = np.random.default_rng(seed)
        release_pages(index.points)

    @property
    def playable_songs(self) -> int:
        """How many songs may be chosen."""
        return int(self._playable.sum())

    def played(self, song: int) -> None:
        """A song was taken: it is now the one played last."""
        self._order.pop(song, None)
        self._order[song] = None
        self._choices += 1
        self._stamp[song] = self._choices
        self._bound()

    def may_play(self, song: int) -> bool:
        """Whether a song's audio is there and it was not withdrawn."""
        return bool(self._playable[song])

    def withdraw(self, song: int) -> None:
        """Leave a song out; its place in the order is kept, so that it does not come first once it is allowed again."""
        self._playable[song] = False

    def allow(self, song: int) -> None:
        """Let a song that was withdrawn be chosen again."""
        self._playable[song] = True

    def judge(self, counts: dict[int, Counts]) -> None:
        """Set what is known of songs' likes, by row; replaces what was known."""
        self._counts = {song: count for song, count in counts.items() if count.any}

    def choose(
        self, target: ValenceArousal, *, playing: int | None = None, nearer_than: float = math.inf
    ) -> int | None:
        """The row of the window to play; changes nothing but the generator.

        Args:
            target: DEAM units.
            playing: the row of the song that plays.
            nearer_than: look only at windows nearer than this, among songs that are not recent; None if there are none.
        """
        for starts in self._starts():
            # after the dwell this alone is asked at each frame
            nearest = self._nearest(starts, target, self._allowed(playing), any_=True)
            if nearest is None:
                continue
            if nearest[0] >= nearer_than:
                return None
            return self._best(starts, target, playing, nearer_than)
        return None if math.isfinite(nearer_than) else self._longest_ago(target, playing)

    def nearest(self, point: ValenceArousal, *, playing: int | None = None) -> float:
        """How far from a point the next song, with a start that leaves the dwell, would be; infinite without one."""
        nearest = self._nearest(self._whole, point, self._allowed(playing), any_=True)
        return math.inf if nearest is None else nearest[0]

    def _best(self, starts: WindowGrid, target: ValenceArousal, playing: int | None, nearer_than: float) -> int | None:
        allowed = self._allowed(playing)

        def fresh(songs: NDArray[np.integer]) -> NDArray[np.bool_]:
            found: NDArray[np.bool_] = allowed(songs) & (self._stamp[songs] <= self._stale_above)
            return found

        near = self._around(starts, target, self._rule.radius, nearer_than, fresh)
        if len(near):
            return self._due(near, target)
        of_all = self._nearest(starts, target, lambda songs: self._playable[songs], any_=True)
        reach = max(self._rule.radius, (of_all[0] if of_all else 0.0) + self._rule.margin)
        nearest_fresh = self._nearest(starts, target, fresh, up_to=min(reach, nearer_than))
        if nearest_fresh is not None and nearest_fresh[0] <= reach and nearest_fresh[0] < nearer_than:
            return nearest_fresh[1]
        within = self._around(starts, target, reach, nearer_than, allowed)
        if len(within):
            return self._due(within, target)
        nearest = self._nearest(starts, target, allowed)
        return nearest and nearest[1]

    def _due(self, rows: NDArray[np.intp], target: ValenceArousal) -> int:
        """The best among candidates."""
        songs, distances = self._songs(rows), self._distances(rows, target)
        by_song = np.lexsort((rows, distances, songs))
        _, first = np.unique(songs[by_song], return_index=True)
        best = by_song[first]
        rows, songs, distances = rows[best], songs[best], distances[best]
        order = np.lexsort((rows, distances, self._stamp[songs]))
        count = max(-(-len(order) // DUE_SHARE), int((self._stamp[songs] == 0).sum()))
        due = order[:count]
        due = due[np.abs(distances[due] - distances[due[0]]) <= self._rule.radius]
        known = [self._counts.get(int(song), _NOTHING) for song in songs[due]] if self._counts else []
        if any(counts.any for counts in known):
            draws = self._generator.beta([c.alpha for c in known], [c.beta for c in known])
            return int(rows[due[int(np.argmax(draws))]])
        return int(rows[due[0]])

    def _longest_ago(self, target: ValenceArousal, playing: int | None) -> int | None:
        songs = np.flatnonzero(self._playable)
        if playing is not None and len(songs) > 1:
            songs = songs[songs != playing]
        if not len(songs):
            return None
        song = songs[int(np.argmin(self._stamp[songs]))]
        for starts in self._starts():
            nearest = self._nearest(starts, target, lambda found: found == song)
            if nearest is not None:
                return nearest[1]
        return None

    def _starts(self) -> Iterator[WindowGrid]:
        """The starts that leave the dwell; then, built when they are first needed, those that do not."""
        yield self._whole
        if self._late is None:
            self._late = WindowGrid(self._index.points, self._late_rows)
        yield self._late

    def _allowed(self, playing: int | None) -> _Allowed:
        def allowed(songs: NDArray[np.integer]) -> NDArray[np.bool_]:
            open_: NDArray[np.bool_] = self._playable[songs] & (self._stamp[songs] <= self._recent_above)
            return open_ if playing is None else open_ & (songs != playing)

        return allowed

    def _around(
        self, starts: WindowGrid, target: ValenceArousal, radius: float, nearer_than: float, allowed: _Allowed
    ) -> NDArray[np.intp]:
        rows = starts.within(target, radius * (1.0 + _TIE))
        distances = self._distances(rows, target)
        return rows[(distances <= radius) & (distances < nearer_than) & allowed(self._songs(rows))]

    def _nearest(
        self, starts: WindowGrid, target: ValenceArousal, allowed: _Allowed, up_to: float = math.inf, any_: bool = False
    ) -> tuple[float, int] | None:
        """The distance and row of the nearest window of an allowed song; windows past `up_to` may be left out.

        Of equally near windows it is the lowest row; there are thousands where ratings are coarse, and with `any_` one
        of them will do.
        """
        k = min(_FIRST_K, starts.size)
        while k:
            distances, rows = starts.nearest(target, k)
            fits = np.flatnonzero(allowed(self._songs(rows)))
            # a neighbour as far as the last one found may have equals that were not found
            if len(fits) and (any_ or k == starts.size or distances[-1] > distances[fits[0]] * (1.0 + _TIE)):
                tied = rows[fits[distances[fits] <= distances[fits[0]] * (1.0 + _TIE)]]
                exact = self._distances(tied, target)
                first = int(np.lexsort((tied, exact))[0])
                return float(exact[first]), int(tied[first])
            if k == starts.size or distances[-1] > up_to * (1.0 + _TIE):
                return None
            k = min(4 * k, starts.size)
        return None

    def _songs(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        songs: NDArray[np.int32] = self._index.song[rows]
        # Around each touched byte of a mapped index the kernel maps megabytes.
        release_pages(self._index.song)
        return songs

    def _distances(self, rows: NDArray[np.intp], target: ValenceArousal) -> NDArray[np.float64]:
        offset = self._index.points[rows].astype(np.float64) - np.asarray(target, np.float64)
        release_pages(self._index.points)
        distances: NDArray[np.float64] = np.hypot(offset[:, 0], offset[:, 1])
        return distances

    def _bound(self) -> None:
        """The stamps above which a song counts as recent, and as stale."""
        rule = self._rule
        last = list(islice(reversed(self._order), max(rule.recent, rule.spacing) + 1))
        self._recent_above = int(self._stamp[last[rule.recent]]) if len(last) > rule.recent else 0
        self._stale_above = int(self._stamp[last[rule.spacing]]) if len(last) > rule.spacing else 0


def _whole_and_late(
    index: MusicIndex, playable: NDArray[np.bool_], rule: ChoiceRule
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The rows of playable windows that leave the dwell time before the closing fade, and of those that do not."""
    leaves = np.empty(index.window_count, np.bool_)
    there = np.empty(index.window_count, np.bool_)
    for first in range(0, index.window_count, _SLICE):
        part = slice(first, first + _SLICE)
        song = index.song[part]
        leaves[part] = index.song_end_s[song] - index.start_s[part] - rule.fade_s >= rule.dwell_s
        there[part] = playable[song]
    return _rows_of(there & leaves), _rows_of(there & ~leaves)


def _rows_of(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Where a mask is set; numpy's own way takes twice the memory."""
    rows = np.empty(np.count_nonzero(mask), np.int32)
    filled = 0
    for first in range(0, len(mask), _SLICE):
        found = np.flatnonzero(mask[first : first + _SLICE])
        rows[filled : filled + len(found)] = first + found
        filled += len(found)
    return rows
