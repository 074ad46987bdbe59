"""Chooses the song: the nearest in the plane, not too often the same, and not before the last had its time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import PlaybackStatus, Segment, ValenceArousal
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.errors import IndexFileError

# How far the player's clock and the loop's may be apart when both tell of the same moment.
_CLOCK_SLACK_S = 0.1

# A neighbour at the distance of the last one found may have equals that were not found.
_TIE = 1e-9


class Matcher:
    """Steps with the loop: told the target and what plays, it says what to play next, or None for "go on".

    Which song: the nearest window of a song that is neither playing nor among the `recent` last ones, from a start
    that leaves the dwell time before the closing fade; if there is none, from any start; if all songs are recent, the
    one played longest ago (the playing one only when it is alone). Equal distances go to the lower window.

    When: at once if nothing plays, when the song has ended, or on skip. Otherwise after the dwell time, and only if
    the nearest song outside the recent ones is nearer to the target than what plays by more than the margin.

    What plays counts with the affect of the window it was chosen for: within a song of DEAM the windows' sd is 0.02.
    """

    def __init__(
        self,
        index: MusicIndex,
        audio_folder: Path,
        *,
        dwell_s: float = 25.0,
        recent: int = 5,
        margin: float = 0.1,
        k: int = 20,
        fade_s: float = 2.0,
    ) -> None:
        """Look which songs have their audio, and build the search trees.

        Args:
            index: the windows.
            audio_folder: where the index's files are.
            dwell_s: how long a song plays at least, > 0; paused time does not count.
            recent: how many of the songs chosen last, with the playing one, are not chosen again; 0 is allowed.
            margin: how much nearer another song must be, DEAM units, >= 0.
            k: how many neighbours the first search takes, >= 1; it is widened until one fits, so the choice does not
                depend on it.
            fade_s: the closing fade, which ends with the sound.

        Raises:
            IndexFileError: no song of the index has its audio in the folder.
        """
        self._index = index
        self._folder = audio_folder
        self._dwell_s = dwell_s
        self._margin = margin
        self._fade_s = fade_s
        self._playable = np.array([(audio_folder / file).is_file() for file in index.files], np.bool_)
        self._there = self._playable.copy()
        there = self._playable[index.song]
        if not there.any():
            raise IndexFileError(
                f"none of the {index.song_count} songs of index {index.name!r} has its audio in {audio_folder} "
                f"(the first looked for: {index.files[0]}).",
                mend="Name the folder that holds the audio with `[music] audio_dir` in the config.",
            )
        left_s = index.song_end_s[index.song] - index.start_s - fade_s
        self._whole = _Neighbours(index, np.flatnonzero(there & (left_s >= dwell_s)), k)
        self._any = _Neighbours(index, np.flatnonzero(there), k)
        self._song_rows = {song_id: row for row, song_id in enumerate(index.song_ids)}

        self._recent = recent
        self._played: list[int] = []  # songs, each once, in the order of their last choice
        self._current: Segment | None = None
        self._since_s = 0.0
        self._told_s = 0.0
        self._left_s = 0.0
        self._begun = False
        self._failed = False

    @property
    def playable_songs(self) -> int:
        """How many songs may be chosen: their audio is there and was not excluded."""
        return int(self._playable.sum())

    def exclude(self, song_id: str) -> None:
        """Leave a song out (it does not decode); if it was the last choice, another is chosen at once."""
        row = self._song_rows.get(song_id)
        if row is None:
            return
        self._playable[row] = False
        if row in self._played:
            self._played.remove(row)
        if self._current is not None and self._current.song_id == song_id:
            self._current = None
            self._failed = True

    def include(self, song_id: str) -> None:
        """Let a song that was left out be chosen again."""
        row = self._song_rows.get(song_id)
        if row is not None:
            self._playable[row] = self._there[row]

    def choose(
        self, target: ValenceArousal | None, now_s: float, playback: PlaybackStatus, *, skip: bool = False
    ) -> Segment | None:
        """What to play from now on; None to go on with what plays, or with silence.

        A returned segment counts as playing from `now_s`, though the player may need a moment to load it.

        Args:
            target: where music is sought, DEAM units; None chooses nothing, but a skip: that then goes to the song
                nearest to what plays.
            now_s: the loop's clock; never runs backwards.
            playback: what the player does before this call's choice.
            skip: whether another song is wanted at once.
        """
        self._follow(target, now_s, playback)
        if skip and target is None and self._current is not None:
            target = _point(self._current)
        if target is None or (playback.paused and not skip):
            return None
        if skip or self._current is None or self._over(now_s, playback):
            row = self._next_song(target)
        elif now_s - self._since_s >= self._dwell_s:
            row = self._better_song(target, self._current)
        else:
            row = None
        return None if row is None else self._take(row, now_s)

    def _follow(self, target: ValenceArousal | None, now_s: float, playback: PlaybackStatus) -> None:
        """Bring what is remembered in line with what the player tells."""
        if playback.paused:
            self._since_s += now_s - self._told_s
        self._told_s = now_s
        playing = playback.segment
        if playing is None:
            # While a choice loads, nothing may play yet; with no target nothing is about to.
            if target is None or self._settled(now_s):
                self._current = None
        elif self._current is None:
            if playing.song_id in self._song_rows and not self._failed:
                self._current, self._since_s, self._begun = playing, now_s, True
        elif playing.song_id == self._current.song_id and not playback.ended:
            self._begun = True

    def _settled(self, now_s: float) -> bool:
        """Whether the player's word is about the last choice, and no longer about what went before it.

        That is so once the choice was heard, or when it had the time to come to its end unseen.
        """
        return self._begun or now_s - self._since_s >= min(self._dwell_s, self._left_s - _CLOCK_SLACK_S)

    def _over(self, now_s: float, playback: PlaybackStatus) -> bool:
        return playback.ended and self._settled(now_s)

    def _next_song(self, target: ValenceArousal) -> int | None:
        row = self._nearest(target, self._outside_recent())
        if row is not None:
            return row
        if not self._playable.any():
            return None
        longest_ago = np.zeros_like(self._playable)
        longest_ago[min(np.flatnonzero(self._playable).tolist(), key=self._rank)] = True
        return self._nearest(target, longest_ago)

    def _rank(self, song: int) -> int:
        """Higher for a song played later; highest for the current one."""
        if self._current is not None and self._current.song_id == self._index.song_ids[song]:
            return len(self._played)
        return self._played.index(song) if song in self._played else -1

    def _better_song(self, target: ValenceArousal, current: Segment) -> int | None:
        row = self._nearest(target, self._outside_recent())
        if row is None:
            return None
        nearer = _distance(self._window_point(row), target) < _distance(_point(current), target) - self._margin
        return row if nearer else None

    def _outside_recent(self) -> NDArray[np.bool_]:
        """Bool [S]: the songs that may be chosen now."""
        songs: NDArray[np.bool_] = self._playable.copy()
        songs[self._played[max(0, len(self._played) - self._recent) :]] = False
        if self._current is not None:
            songs[self._song_rows[self._current.song_id]] = False
        return songs

    def _nearest(self, target: ValenceArousal, songs: NDArray[np.bool_]) -> int | None:
        if not songs.any():
            return None
        row = self._whole.nearest(target, songs)
        return self._any.nearest(target, songs) if row is None else row

    def _take(self, row: int, now_s: float) -> Segment:
        index = self._index
        song = int(index.song[row])
        valence, arousal = self._window_point(row)
        segment = Segment(
            song_id=index.song_ids[song],
            start_s=float(index.start_s[row]),
            end_s=float(index.end_s[row]),
            valence=valence,
            arousal=arousal,
            path=self._folder / index.files[song],
            song_end_s=float(index.song_end_s[song]),
            title=index.titles[song] or index.song_ids[song],
        )
        if song in self._played:
            self._played.remove(song)
        self._played.append(song)
        self._current, self._since_s = segment, now_s
        self._left_s = segment.song_end_s - self._fade_s - segment.start_s
        self._begun = self._failed = False
        return segment

    def _window_point(self, row: int) -> ValenceArousal:
        return ValenceArousal(*map(float, self._index.points[row]))


class _Neighbours:
    """Some windows of an index, searchable by nearness."""

    def __init__(self, index: MusicIndex, rows: NDArray[np.intp], k: int) -> None:
        self._rows = rows
        self._songs = index.song[rows]
        # Half of the run's imports, by time: here, where it is done beside the loading of the models.
        from scipy.spatial import cKDTree

        self._tree = cKDTree(index.points[rows].astype(np.float64)) if len(rows) else None
        self._k = k

    def nearest(self, target: ValenceArousal, songs: NDArray[np.bool_]) -> int | None:
        """The row in the index of the nearest window of the songs (bool [S]); None if there is none among these."""
        if self._tree is None:
            return None
        count = len(self._rows)
        k = min(self._k, count)
        while True:
            distances, found = (np.atleast_1d(part) for part in self._tree.query(target, k=k))
            allowed = np.flatnonzero(songs[self._songs[found]])
            if len(allowed):
                best = distances[allowed[0]]
                if k == count or best < distances[-1] * (1.0 - _TIE):
                    tied = allowed[distances[allowed] <= best * (1.0 + _TIE)]
                    return int(self._rows[found[tied].min()])
            elif k == count:
                return None
            k = min(4 * k, count)


def _point(segment: Segment) -> ValenceArousal:
    return ValenceArousal(segment.valence, segment.arousal)


def _distance(a: ValenceArousal, b: ValenceArousal) -> float:
    return float(np.hypot(a.valence - b.valence, a.arousal - b.arousal))
