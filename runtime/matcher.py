"""Chooses the song and the moment: the rule of the choice, not before the last song had its time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import ChoiceReason, PlaybackStatus, Segment, ValenceArousal
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.errors import IndexFileError

from .choice.feedback import Counts
from .choice.rule import ChoiceRule, SongChoice

# How far the player's clock and the loop's may be apart when both tell of the same moment.
_CLOCK_SLACK_S = 0.1
_FEW = 4
# An index holds its times as float32.
_SAME_TIME_S = 0.01


class Matcher:
    """Steps with the loop: told the target and what plays, it says what to play next, or None for "go on".

    Which song: see choice/rule.py.

    When: at once if nothing plays, when the song has ended, or on skip. Otherwise after the dwell time, and only if a
    song outside the recent ones is nearer to the target than what plays by more than the margin; the rule then chooses
    among these songs alone.

    What plays counts with the affect of the window it was chosen for.
    """

    def __init__(
        self,
        index: MusicIndex,
        roots: AudioRoots,
        playable: NDArray[np.bool_],
        rule: ChoiceRule,
        *,
        seed: int = 0,
        gains_db: NDArray[np.float32] | None = None,
    ) -> None:
        """Sort the windows for the search.

        Args:
            index: the windows.
            roots: where the index's files are.
            playable: bool [S], which songs have their audio there.
            rule: radius, margin, recency, dwell.
            seed: of the draws among liked songs.
            gains_db: float32 [S], what brings each song to one loudness; None leaves all as they are.

        Raises:
            IndexFileError: no song of the index has its audio.
        """
        self._index = index
        self._roots = roots
        self._rule = rule
        self._there = playable
        self._gains_db = gains_db
        if not playable.any():
            raise IndexFileError(
                f"none of the {index.song_count} songs of index {index.name!r} has its audio in {roots.folder} "
                f"(the first looked for: {index.files[0]}).",
                mend="Name the folder that holds the audio with `[music] audio_dir` in the config.",
            )
        self._choice = SongChoice(index, playable, rule, seed=seed)
        self._rows: dict[str, int | None] = {}  # of the songs that were judged
        self._current: Segment | None = None
        self._current_row: int | None = None
        self._since_s = 0.0
        self._told_s = 0.0
        self._left_s = 0.0
        self._begun = False
        self._failed = False
        self._because: ChoiceReason = "start"

    @property
    def because(self) -> ChoiceReason:
        """Why the last choice was made."""
        return self._because

    @property
    def playable_songs(self) -> int:
        """How many songs may be chosen: their audio is there and was not excluded."""
        return self._choice.playable_songs

    def exclude(self, song_id: str) -> None:
        """Leave a song out (it does not decode); if it was the last choice, another is chosen at once."""
        row = self._index.row_of(song_id)
        if row is None:
            return
        self._choice.withdraw(row)
        if self._current is not None and self._current.song_id == song_id:
            self._current = self._current_row = None
            self._failed = True

    def include(self, song_id: str) -> None:
        """Let a song that was left out be chosen again."""
        row = self._index.row_of(song_id)
        if row is not None and self._there[row]:
            self._choice.allow(row)

    def judge(self, counts: Mapping[str, Counts]) -> None:
        """Set what is known of songs' likes, by song id; songs of other indexes are passed over."""
        unknown = counts.keys() - self._rows.keys()
        if len(unknown) > _FEW:
            # one pass over the names in place of one for each song
            found = {song_id: row for row, song_id in enumerate(self._index.song_ids) if song_id in unknown}
            self._rows |= {song_id: found.get(song_id) for song_id in unknown}
        else:
            self._rows |= {song_id: self._index.row_of(song_id) for song_id in unknown}
        rows = ((self._rows[song_id], count) for song_id, count in counts.items())
        self._choice.judge({row: count for row, count in rows if row is not None})

    def take(self, song_id: str, start_s: float, song_end_s: float, now_s: float) -> Segment | None:
        """Take a song that somebody else chose, as if it were the own choice.

        Args:
            song_id: within the index.
            start_s: where its window begins.
            song_end_s: where its sound ends; another end would be another song of that id.
            now_s: the loop's clock.

        Returns:
            None where the index has no such window, or the song may not be chosen.
        """
        song = self._index.row_of(song_id)
        if song is None or not self._choice.may_play(song):
            return None
        index = self._index
        if abs(float(index.song_end_s[song]) - song_end_s) > _SAME_TIME_S:
            return None
        rows = np.flatnonzero(index.song == song)
        rows = rows[np.abs(index.start_s[rows] - start_s) <= _SAME_TIME_S]
        return self._take(int(rows[0]), now_s) if len(rows) else None

    def nearest_music(self, point: ValenceArousal) -> float:
        """How far from a point (DEAM units) the nearest song is that may be chosen; infinite without one."""
        return self._choice.nearest(point, playing=self._current_row)

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
        because = self._why_now(now_s, playback, skip=skip)
        if because == "nearer" and self._current is not None:
            row = self._better_song(target, self._current)
        elif because is not None:
            row = self._choice.choose(target, playing=self._current_row)
        else:
            row = None
        if row is None or because is None:
            return None
        self._because = because
        return self._take(row, now_s)

    def _why_now(self, now_s: float, playback: PlaybackStatus, *, skip: bool) -> ChoiceReason | None:
        """What calls for a choice; None while what plays has its time. After that only a nearer song does."""
        if skip:
            return "skip"
        if self._current is None:
            return "failed" if self._failed else "start"
        if self._over(now_s, playback):
            return "ended"
        return "nearer" if now_s - self._since_s >= self._rule.dwell_s else None

    def _follow(self, target: ValenceArousal | None, now_s: float, playback: PlaybackStatus) -> None:
        """Bring what is remembered in line with what the player tells."""
        if playback.paused:
            self._since_s += now_s - self._told_s
        self._told_s = now_s
        playing = playback.segment
        if playing is None:
            # While a choice loads, nothing may play yet; with no target nothing is about to.
            if target is None or self._settled(now_s):
                self._current = self._current_row = None
        elif self._current is None:
            row = None if self._failed else self._index.row_of(playing.song_id)
            if row is not None:
                self._current, self._current_row = playing, row
                self._since_s, self._begun = now_s, True
        elif playing.song_id == self._current.song_id and not playback.ended:
            self._begun = True

    def _settled(self, now_s: float) -> bool:
        """Whether the player's word is about the last choice, and no longer about what went before it.

        That is so once the choice was heard, or when it had the time to come to its end unseen.
        """
        return self._begun or now_s - self._since_s >= min(self._rule.dwell_s, self._left_s - _CLOCK_SLACK_S)

    def _over(self, now_s: float, playback: PlaybackStatus) -> bool:
        return playback.ended and self._settled(now_s)

    def _better_song(self, target: ValenceArousal, current: Segment) -> int | None:
        nearer_than = _distance(_point(current), target) - self._rule.margin
        if nearer_than <= 0:
            return None
        return self._choice.choose(target, playing=self._current_row, nearer_than=nearer_than)

    def _take(self, row: int, now_s: float) -> Segment:
        index = self._index
        song = int(index.song[row])
        valence, arousal = map(float, index.points[row])
        file, song_id = index.files[song], index.song_ids[song]
        segment = Segment(
            song_id=song_id,
            start_s=float(index.start_s[row]),
            end_s=float(index.end_s[row]),
            valence=valence,
            arousal=arousal,
            path=self._path(file),
            song_end_s=float(index.song_end_s[song]),
            title=index.titles[song] or song_id,
            gain_db=0.0 if self._gains_db is None else float(self._gains_db[song]),
        )
        self._choice.played(song)
        self._current, self._current_row, self._since_s = segment, song, now_s
        self._left_s = segment.song_end_s - self._rule.fade_s - segment.start_s
        self._begun = False
        self._failed = False
        return segment

    def _path(self, file: str) -> Path:
        """Where a song is. One that went away since the start is left to the player, which tells that it is missing."""
        lexical = self._roots.place_of(file)
        found = self._roots.path_of(file)
        if found is None and lexical.exists():
            return self._roots.folder / f"{Path(file).name} leads out of the audio folder"
        return found or lexical


def _point(segment: Segment) -> ValenceArousal:
    return ValenceArousal(segment.valence, segment.arousal)


def _distance(a: ValenceArousal, b: ValenceArousal) -> float:
    return float(np.hypot(a.valence - b.valence, a.arousal - b.arousal))
