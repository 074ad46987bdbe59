"""What a node that leads tells the others: its own player's state in, plans out. No clock, no network."""

from __future__ import annotations

from emomusic_edge.contracts import PlaybackStatus, Segment, ValenceArousal

from .companion import SharedSong
from .following import IN_STEP_S, Plan

LEAD_S = 1.0
"""From a song's announcement to its start: a step of the follower's loop (0.1 s), the message, and opening the file."""
REPEAT_S = 5.0
_FOLLOWED_S = 15.0
"""Followers ask for the time three times as often."""
_MOST_FOLLOWERS = 256
_MOVED = 0.01
_MOVED_EVERY_S = 1.0


class Leading:
    """Keeps what the own player plays as the others must know it, also while somebody else leads."""

    def __init__(self) -> None:
        self._segment: Segment | None = None
        self._at_s = 0.0
        self._at_once = False
        self._told: Plan | None = None
        self._told_at_s = 0.0
        self._asked_at_s: dict[str, float] = {}
        self._skip = False

    def asked(self, run: str, now_s: float) -> None:
        """Told that a node asks for the time, so it follows; to a new one all is told at once."""
        self._forget_gone(now_s)
        if run not in self._asked_at_s:
            if len(self._asked_at_s) >= _MOST_FOLLOWERS:
                return
            self._told = None
        self._asked_at_s[run] = now_s

    def wants_skip(self) -> None:
        """Told that somebody who follows skips."""
        self._skip = True

    def take_skip(self) -> bool:
        """Whether somebody has, since the last call."""
        skip, self._skip = self._skip, False
        return skip

    def started(self, segment: Segment, at_s: float, *, at_once: bool) -> None:
        """Told that a song starts, by whoever's choice."""
        self._segment, self._at_s, self._at_once = segment, at_s, at_once

    def start_for(self, now_s: float) -> float | None:
        """When a song that is chosen now starts; None at once, since nobody follows."""
        self._forget_gone(now_s)
        return now_s + LEAD_S if self._asked_at_s else None

    def plays(self, playback: PlaybackStatus, now_s: float) -> None:
        """Told what the own player does: after a pause, or a slow disk, the song is elsewhere than was told."""
        segment = playback.segment
        if segment is None:
            self._segment = None
            return
        if playback.paused or playback.ended:
            return
        there_s = segment.start_s + max(0.0, now_s - self._at_s)
        if segment != self._segment or abs(playback.position_s - there_s) > IN_STEP_S:
            self._segment, self._at_once = segment, False
            self._at_s = now_s - (playback.position_s - segment.start_s)

    def plan(self, target: ValenceArousal | None, *, with_song: bool) -> Plan:
        """What to tell.

        Args:
            target: what is sought, DEAM units.
            with_song: whether the song is shared and not only the mood.
        """
        segment, song = self._segment, None
        if segment is not None and with_song:
            song = SharedSong(segment.song_id, segment.start_s, segment.song_end_s, self._at_s, at_once=self._at_once)
        return Plan(target, song)

    def is_due(self, plan: Plan, now_s: float) -> bool:
        """Whether to tell it: a song at once, a target that moves once a second, and all again and again."""
        told, age_s = self._told, now_s - self._told_at_s
        if told is None or age_s >= REPEAT_S or told.song != plan.song:
            return True
        return age_s >= _MOVED_EVERY_S and _moved(told.target, plan.target)

    def _forget_gone(self, now_s: float) -> None:
        asked = self._asked_at_s.items()
        self._asked_at_s = {run: at_s for run, at_s in asked if now_s - at_s < _FOLLOWED_S}

    def told(self, plan: Plan | None, now_s: float) -> None:
        """Told that it was; None, that nobody knows any."""
        self._told, self._told_at_s = plan, now_s


def _moved(before: ValenceArousal | None, now: ValenceArousal | None) -> bool:
    if before is None or now is None:
        return before is not now
    return abs(before.valence - now.valence) > _MOVED or abs(before.arousal - now.arousal) > _MOVED
