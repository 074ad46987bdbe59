"""What likes, dislikes and skips taught of a song: counts, and the Beta posterior that they make."""

from __future__ import annotations

from dataclasses import dataclass

EARLY_SKIP_S = 30.0
"""A skip later than this after a song's start is none; streaming services count a song as heard from 30 s on."""

SKIP_WEIGHT = 0.5
"""An early skip weighs half a dislike: it may be about the moment and not about the song."""


def early_s(sounds_s: float) -> float:
    """How long after its start a skip is early: EARLY_SKIP_S, or half of what would have sounded where that is less.

    Args:
        sounds_s: from the start to the end of the sound; 30 s of DEAM's 45-s excerpts.
    """
    return min(EARLY_SKIP_S, sounds_s / 2)


@dataclass(frozen=True, slots=True)
class Counts:
    """How often a song was liked, disliked and skipped early; never when."""

    likes: int = 0
    dislikes: int = 0
    skips: int = 0

    @property
    def any(self) -> bool:
        """Whether anything is known."""
        return bool(self.likes or self.dislikes or self.skips)

    @property
    def alpha(self) -> float:
        """Of the Beta posterior over "this song is welcome": the uniform prior's 1, and the likes."""
        return 1.0 + self.likes

    @property
    def beta(self) -> float:
        """The uniform prior's 1, the dislikes, and early skips at their weight."""
        return 1.0 + self.dislikes + SKIP_WEIGHT * self.skips

    def __add__(self, other: Counts) -> Counts:
        """Both together; none falls below 0, should what is taken back have been forgotten meanwhile."""
        return Counts(
            max(self.likes + other.likes, 0), max(self.dislikes + other.dislikes, 0), max(self.skips + other.skips, 0)
        )

    def __sub__(self, other: Counts) -> Counts:
        """What to add so that these stand in the other's place; below 0 where the other has more."""
        return Counts(self.likes - other.likes, self.dislikes - other.dislikes, self.skips - other.skips)
