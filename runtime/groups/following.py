"""What a node that follows plays: the leader's plan and the own player's state in, advice out. No clock, no network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from emomusic_edge.contracts import PlaybackStatus, ValenceArousal

from .clock_offset import Offset
from .companion import Advice, SharedSong

Play = Literal["song", "mood"]

PLAN_S = 15.0
"""A plan that is not repeated for so long is over; the leader repeats it three times as often."""
IN_STEP_S = 0.1
"""How far a song may be from the leader's before it is played anew at its place."""
MOST_UNSURE_S = 0.1
"""Beyond this the clocks are not known well enough to play in step: the mood it is, then."""
JOIN_S = 5.0
"""A song with less than this left is not joined; the next one comes soon."""
OVER_S = 2.0
"""After a song's end the leader's next one is waited for so long."""
_AGAIN_S = 5.0
"""A song that does not come into step, since its file is shorter here, is not tried more often."""
SKIP_S = 2.0
"""How long a skip that was passed on may take before this node skips alone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a leader plays.

    Attributes:
        target: what it seeks, DEAM units; None while it seeks nothing.
        song: what it plays, `at_s` on its own clock; None for nothing, or where the group only shares the mood.
    """

    target: ValenceArousal | None
    song: SharedSong | None


class Following:
    """Holds the newest plan and what became of it here."""

    def __init__(self, play: Play) -> None:
        """Follow the leader's songs, or only its mood."""
        self._play = play
        self._plan: Plan | None = None
        self._heard_at_s = 0.0
        self._refused: SharedSong | None = None
        self._skipping: SharedSong | None = None
        self._skip_by_s = 0.0
        self._with_leader = False
        self._asked: SharedSong | None = None
        self._asked_at_s = 0.0

    def heard(self, plan: Plan, now_s: float) -> None:
        """Told what the leader plays."""
        self._plan, self._heard_at_s = plan, now_s

    def forget(self) -> None:
        """Told that nobody leads, or somebody else."""
        self._plan = None
        self.stand_aside()

    def stand_aside(self) -> None:
        """Told that this node goes alone for now; when it follows again it comes in where the leader is by then."""
        self._asked = self._skipping = None
        self._with_leader = False

    def refuse(self) -> None:
        """Told that the leader's song is not to be played here; its mood is followed until the next one."""
        self._refused, self._skipping = self._song, None

    def pass_on_skip(self, now_s: float) -> bool:
        """Told that a person skips here; whether the leader is to be asked, since its song is what plays."""
        if not self._with_leader or self._song is None:
            return False
        if self._skipping is None:
            self._skipping, self._skip_by_s = self._song, now_s + SKIP_S
        return True

    def skip_due(self, now_s: float) -> bool:
        """Whether a skip that was passed on has had no effect, so that this node skips alone; True once."""
        skipping = self._skipping
        if skipping is None:
            return False
        if not skipping.same_playing(self._song):
            self._skipping = None
            return False
        if now_s < self._skip_by_s:
            return False
        self._skipping, self._refused = None, skipping
        return True

    def advise(self, playback: PlaybackStatus, now_s: float, offset: Offset | None) -> Advice:
        """What to play.

        Args:
            playback: what the own player does.
            now_s: the loop's clock.
            offset: the leader's clock against it; None while that is not known.
        """
        advice = self._advice(playback, now_s, offset)
        self._with_leader = advice.holds
        return advice

    @property
    def _song(self) -> SharedSong | None:
        return None if self._plan is None else self._plan.song

    def _advice(self, playback: PlaybackStatus, now_s: float, offset: Offset | None) -> Advice:
        plan = self._plan
        if plan is None or now_s - self._heard_at_s > PLAN_S:
            return Advice()
        mood, song = Advice(target=plan.target), plan.song
        if self._play == "mood" or song is None or song.same_playing(self._refused):
            self._asked = None
            return mood
        if offset is None or offset.bound_s > MOST_UNSURE_S:
            return mood
        at_s = offset.to_own(song.at_s)
        passed_s, sounds_s = now_s - at_s, song.song_end_s - song.start_s
        if passed_s > sounds_s + OVER_S:
            return mood
        held = replace(mood, holds=True)
        if playback.segment is not None and playback.segment.song_id == song.song_id:
            there_s = min(song.song_end_s, song.start_s + max(0.0, passed_s))
            if abs(playback.position_s - there_s) <= IN_STEP_S:
                return held
        asked_before = song.same_playing(self._asked)
        if sounds_s - passed_s < JOIN_S or (asked_before and now_s - self._asked_at_s < _AGAIN_S):
            return held
        self._asked, self._asked_at_s = song, now_s
        return replace(held, song=replace(song, at_s=at_s))
