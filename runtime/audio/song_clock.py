"""Where in a song playback stands, reckoned from times that are handed in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from emomusic_edge.contracts import Segment


@dataclass(frozen=True, slots=True)
class SongClock:
    """Where in a song playback stands, reckoned from the loop's clock.

    Attributes:
        segment: what plays.
        end_s: where its sound ends.
        anchor_s: the position at `since_s`.
        since_s: the loop's time when the position was `anchor_s`.
        running: False while paused.
    """

    segment: Segment
    end_s: float
    anchor_s: float
    since_s: float
    running: bool

    def position_s(self, now_s: float) -> float:
        """The second within the file, never past the end."""
        passed_s = max(0.0, now_s - self.since_s) if self.running else 0.0
        return min(self.anchor_s + passed_s, self.end_s)

    def run(self, running: bool, now_s: float) -> SongClock:
        """The same song, standing still or going on from its position."""
        return replace(self, anchor_s=self.position_s(now_s), since_s=now_s, running=running)
