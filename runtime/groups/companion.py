"""What others may ask of the music of this node, step by step; alone, nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from emomusic_edge.contracts import Mode, PlaybackStatus, Segment, ValenceArousal


@dataclass(frozen=True, slots=True)
class SharedSong:
    """A song that several nodes play at once.

    Attributes:
        song_id, start_s, song_end_s: which window of which song, as in the music index.
        at_s: when `start_s` sounds, on the clock that goes with it.
        at_once: whether a person waits for it: the fade is short then.
    """

    song_id: str
    start_s: float
    song_end_s: float
    at_s: float
    at_once: bool = False

    def same_playing(self, other: SharedSong | None) -> bool:
        """Whether the other is the same start of the same song, though told with another rounding of the time."""
        return (
            other is not None
            and (self.song_id, self.start_s) == (other.song_id, other.start_s)
            and abs(self.at_s - other.at_s) < _SAME_START_S
        )


_SAME_START_S = 0.05


@dataclass(frozen=True, slots=True)
class Advice:
    """What a step is to do for the others' sake; the default is nothing.

    Attributes:
        target: sought in place of one's own, DEAM units.
        song: to be played now (or from its time on), with `at_s` on the loop's clock.
        holds: whether what plays is to play on, whatever fits better.
    """

    target: ValenceArousal | None = None
    song: SharedSong | None = None
    holds: bool = False


class Companion(Protocol):
    """Asked at each step of the music, on the loop's thread; never blocks."""

    def advise(self, own: ValenceArousal | None, mode: Mode, playback: PlaybackStatus, now_s: float) -> Advice:
        """What to do.

        Args:
            own: what this node seeks by itself, DEAM units.
            mode: this node's.
            playback: what the player does.
            now_s: the loop's clock.
        """
        ...

    def lacks(self, song: SharedSong) -> None:
        """Told that the song of the last advice cannot be played here."""
        ...

    def starts(self, segment: Segment, now_s: float, *, at_once: bool) -> float | None:
        """Told of a song that this node chose by itself; when it is to start, by the loop's clock, None for now."""
        ...

    def pass_on_skip(self, now_s: float) -> bool:
        """Told that a person skips here; whether somebody else sees to it."""
        ...

    def skip_due(self, now_s: float) -> bool:
        """Whether to skip for another's sake; True once for each such wish."""
        ...


class Alone:
    """The Companion of a node that is in no group."""

    def advise(self, own: ValenceArousal | None, mode: Mode, playback: PlaybackStatus, now_s: float) -> Advice:
        """Nothing."""
        return Advice()

    def lacks(self, song: SharedSong) -> None:
        """Never asked for a song."""

    def starts(self, segment: Segment, now_s: float, *, at_once: bool) -> float | None:
        """Now."""
        return None

    def pass_on_skip(self, now_s: float) -> bool:
        """Nobody else is there."""
        return False

    def skip_due(self, now_s: float) -> bool:
        """Nobody else is there."""
        return False
