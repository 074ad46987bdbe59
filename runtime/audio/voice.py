"""One song that sounds: its place, its fades, and how it bears a source that is late. No clock: time is frames."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .fades import FLOOR_DB, HUSH_FRAMES, Fade, Glide, gains_of_db


class SongSource(Protocol):
    """A song's samples from where it began to play, counted from 0."""

    @property
    def end(self) -> int | None:
        """The frame at which its sound turned out to end; None while that is not known."""
        ...

    def ready(self, at: int, frames: int) -> int:
        """How many of the frames from `at` on can be read now, at most `frames`."""
        ...

    def read(self, at: int, frames: int) -> NDArray[np.float32]:
        """Float32 [n, 2] from frame `at`, n <= frames: fewer at its end, and while it is not decoded yet."""
        ...


@dataclass(frozen=True, slots=True)
class Voice:
    """One song that sounds.

    Attributes:
        source: its samples.
        end: the frame before which it is to end.
        gain: constant over the song, in amplitude.
        at: the next frame to play.
        fades: what moves its level now; a falling one takes it away at its end.
        flow: goes to silence while the source is late, and comes back with it.
        unheard: frames that passed while a pause faded it out.
    """

    source: SongSource
    end: int
    gain: float
    at: int = 0
    fades: tuple[Fade, ...] = ()
    flow: Glide = field(default_factory=Glide)
    unheard: int = 0

    @property
    def left(self) -> int:
        """Frames to its end, as far as that is known."""
        end = self.source.end
        return max(0, (self.end if end is None else min(self.end, end)) - self.at)

    @property
    def falling(self) -> bool:
        """Whether it is on its way out."""
        return any(not fade.rising for fade in self.fades)

    @property
    def carries(self) -> bool:
        """Whether it sounds at its own level and will for a while, so that a power fade can lean on it."""
        entering = any(fade.rising and not fade.power for fade in self.fades)
        flows = self.flow.level_db == self.flow.target_db == 0.0
        return flows and not self.falling and not entering and self.left >= HUSH_FRAMES

    def with_fade(self, fade: Fade) -> Voice:
        """The same song with a fade more."""
        return replace(self, fades=(*self.fades, fade))

    def hushed(self, frames: int = HUSH_FRAMES) -> Voice:
        """The same song on its way to silence by a level fade, at most one as quick as HUSH_FRAMES."""
        going = any(not fade.rising and not fade.power and fade.frames <= HUSH_FRAMES for fade in self.fades)
        if going or self.left < HUSH_FRAMES:
            return self
        return self.with_fade(Fade(power=False, rising=False, frames=max(HUSH_FRAMES, frames)))

    def at_pause(self) -> Voice:
        """The same song at the place where its pause began, by the clock of whoever asked for it."""
        return replace(self, at=self.at - self.unheard, unheard=0)

    def render(self, frames: int) -> tuple[Voice | None, NDArray[np.float32]]:
        """The next frames and what comes after them; None when the song is over. Fewer frames while it starves."""
        ready = self.source.ready(self.at, frames + 2 * HUSH_FRAMES)
        # Asked afterwards, since a source that knows its end has decoded all of it.
        ended, left = self.source.end is not None, self.left
        flow = self._flow(frames, left, left if ended else min(ready, left))
        ebbing = flow.target_db <= FLOOR_DB
        wanted = min(frames, left, flow.left) if ebbing else min(frames, left)
        if wanted == 0:
            over = self.falling or left == 0 or (left < 2 * HUSH_FRAMES and (ended or ready >= left))
            return None if over else replace(self, flow=flow), np.zeros((0, 2), np.float32)
        samples = self.source.read(self.at, wanted)
        count = len(samples)
        samples = samples * (np.float32(self.gain) * np.asarray(flow.gains(count), np.float32))
        for fade in self.fades:
            samples *= fade.gains(count)[:, None]
        flow = flow.after(count)
        if count < wanted:
            # Nothing told that it would come to this: a click is what can still be kept away.
            samples *= np.linspace(1.0, 0.0, count, dtype=np.float32)[:, None]
            flow = Glide(FLOOR_DB, FLOOR_DB)
        elif left - count < HUSH_FRAMES and not self.falling and not ebbing:
            # The end of a file may be anything; what is left of it fades.
            frames_left = np.arange(left, left - count, -1, dtype=np.float32)
            tail = np.maximum(0.0, 1.0 - frames_left / np.float32(HUSH_FRAMES))
            samples *= gains_of_db(np.float32(FLOOR_DB) * tail)[:, None]
        fades = tuple(fade.after(count) for fade in self.fades)
        if count >= left or any(fade.over and not fade.rising for fade in fades):
            return None, samples
        fades = tuple(fade for fade in fades if not fade.over)
        return replace(self, at=self.at + count, fades=fades, flow=flow), samples

    def _flow(self, frames: int, left: int, ready: int) -> Glide:
        """Down while there is still enough to fade with, up when there is enough to last and then to fade again."""
        if self.flow.target_db > FLOOR_DB:
            return self.flow.to(FLOOR_DB) if ready < min(frames + HUSH_FRAMES, left) else self.flow
        lasts = left >= 2 * HUSH_FRAMES and ready >= min(frames + 2 * HUSH_FRAMES, left)
        return self.flow.to(0.0) if lasts else self.flow
