"""How a level moves: no clock, time is frames.

Two shapes of fade:

- power: two songs overlap, g = sin(pi x / 2) against cos(pi x / 2): their powers add up to one at every instant.
- level: against silence, even steps in dB between 0 and FLOOR_DB, since any other shape is steep at its quiet end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .output import SAMPLE_RATE_HZ

FLOOR_DB = -50.0
"""Below this against the song's own level nothing counts as sound; a level fade ends here."""
GLIDE_DB_PER_S = 120.0
"""2.4 dB in 20 ms: two glides at once stay below a step of 6 dB."""
HUSH_FRAMES = round(-FLOOR_DB / GLIDE_DB_PER_S * SAMPLE_RATE_HZ)
"""0.42 s: the shortest fade between a song at its level and silence."""
SHORTEST_GLIDE_FRAMES = round(0.05 * SAMPLE_RATE_HZ)


@dataclass(frozen=True, slots=True)
class Fade:
    """A gain that moves to 1 (rising) or to 0 over some frames.

    Attributes:
        power: a power fade, else a level fade.
        rising: which way.
        frames: how long, > 0.
        done: how many of them are over.
    """

    power: bool
    rising: bool
    frames: int
    done: int = 0

    @property
    def over(self) -> bool:
        """Whether it has come to its end."""
        return self.done >= self.frames

    def gains(self, count: int) -> NDArray[np.float32]:
        """Float32 [count], of the next frames."""
        x = np.minimum(1.0, np.arange(self.done, self.done + count, dtype=np.float32) / np.float32(self.frames))
        if self.power:
            gains: NDArray[np.float32] = np.sin((x if self.rising else 1.0 - x) * np.float32(math.pi / 2))
            return gains
        return gains_of_db(np.float32(FLOOR_DB) * (1.0 - x if self.rising else x))

    def after(self, count: int) -> Fade:
        """The fade, that many frames later."""
        return replace(self, done=self.done + count)


@dataclass(frozen=True, slots=True)
class Glide:
    """A level in dB on its way to another.

    Attributes:
        level_db: where it is; at FLOOR_DB and below, silence.
        target_db: where it goes.
        left: frames until it is there.
    """

    level_db: float = 0.0
    target_db: float = 0.0
    left: int = 0

    def to(self, target_db: float) -> Glide:
        """The same level on its way to another target."""
        distance_s = abs(target_db - self.level_db) / GLIDE_DB_PER_S
        return Glide(self.level_db, target_db, max(SHORTEST_GLIDE_FRAMES, round(distance_s * SAMPLE_RATE_HZ)))

    def gains(self, count: int) -> NDArray[np.float32] | float:
        """Float32 [count, 1] of the next frames, or one number for all."""
        if self.left == 0:
            return 0.0 if self.level_db <= FLOOR_DB else 10.0 ** (self.level_db / 20.0)
        x = np.minimum(1.0, np.arange(1, count + 1, dtype=np.float32) / np.float32(self.left))
        gains = gains_of_db(np.float32(self.level_db) + np.float32(self.target_db - self.level_db) * x)
        return gains[:, None]

    def after(self, count: int) -> Glide:
        """The glide, that many frames later."""
        if count >= self.left:
            return Glide(self.target_db, self.target_db)
        level_db = self.level_db + (self.target_db - self.level_db) * count / self.left
        return Glide(level_db, self.target_db, self.left - count)


def gains_of_db(levels_db: NDArray[np.float32]) -> NDArray[np.float32]:
    """Amplitudes of levels; silence from the floor down."""
    gains: NDArray[np.float32] = np.exp(levels_db * np.float32(math.log(10.0) / 20.0))
    gains[levels_db <= FLOOR_DB] = 0.0
    return gains
