"""What the player's two sides share: what is wanted, and what came of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from emomusic_edge.contracts import Segment

from .song_clock import SongClock

CROSSFADE_S = 2.0
SHORTEST_FADE_S = 0.05


@dataclass(frozen=True, slots=True)
class Wish:
    """What the device should do; `ticket` counts the changes of song, so that the same song can be asked for twice.

    `at_s` is when the segment's start second is to sound; None as soon as it can.
    """

    ticket: int = 0
    segment: Segment | None = None
    fade_s: float = CROSSFADE_S
    at_s: float | None = None
    paused: bool = False
    volume: float = 1.0


@dataclass
class Shared:
    """Read and written under `changed`; the loop's thread holds it for bookkeeping only.

    Attributes:
        wish: what the device should do.
        clock: where in its song playback stands, by the loop's clock; None when nothing plays.
        now_s: the loop's time when it last called.
        failed: whether the song that was wanted last could not be played (to its end).
        failures: (song_id, reason) that nobody has asked for yet.
        reason: why there is no sound; empty when all is well.
        open: whether a device is there.
        attempted: whether one was looked for.
        closing: whether all is to end.
    """

    wish: Wish = field(default_factory=Wish)
    changed: threading.Condition = field(default_factory=threading.Condition)
    clock: SongClock | None = None
    now_s: float = 0.0
    failed: bool = False
    failures: list[tuple[str, str]] = field(default_factory=list)
    reason: str = ""
    open: bool = False
    attempted: bool = False
    closing: bool = False

    def want_song(self, segment: Segment | None, fade_s: float, at_s: float | None = None) -> None:
        """Under `changed`: ask for a song from its start, or for silence."""
        wish, fade_s = self.wish, max(SHORTEST_FADE_S, fade_s)
        self.wish = replace(wish, ticket=wish.ticket + 1, segment=segment, fade_s=fade_s, at_s=at_s)
        self.changed.notify_all()
