"""The mixing desk: songs, fades and levels in, samples out. No clock and no device: time is the frames rendered.

A `Mix` is a value: a command gives a new one and `render` gives the next, so that sound which was mixed ahead but not
played yet can be mixed anew from any earlier value.

Two shapes of fade:

- power: two songs overlap, g = sin(pi x / 2) against cos(pi x / 2): their powers add up to one at every instant.
- level: against silence, even steps in dB between 0 and FLOOR_DB, since any other shape is steep at its quiet end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Protocol

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
HEADROOM = math.sqrt(0.5)
"""Two full-scale songs meet in a power fade at no more than sqrt(2): with this they cannot clip."""


class SongSource(Protocol):
    """A song's samples from where it began to play, counted from 0."""

    @property
    def end(self) -> int | None:
        """The frame at which its sound turned out to end; None while that is not known."""
        ...

    def read(self, at: int, frames: int) -> NDArray[np.float32]:
        """Float32 [n, 2] from frame `at`, n <= frames: fewer at its end, and while it is not decoded yet."""
        ...


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
        return _gains_of_db(np.float32(FLOOR_DB) * (1.0 - x if self.rising else x))

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
        gains = _gains_of_db(np.float32(self.level_db) + np.float32(self.target_db - self.level_db) * x)
        return gains[:, None]

    def after(self, count: int) -> Glide:
        """The glide, that many frames later."""
        if count >= self.left:
            return Glide(self.target_db, self.target_db)
        level_db = self.level_db + (self.target_db - self.level_db) * count / self.left
        return Glide(level_db, self.target_db, self.left - count)


@dataclass(frozen=True, slots=True)
class Voice:
    """One song that sounds.

    Attributes:
        source: its samples.
        end: the frame before which it is to end.
        gain: constant over the song, in amplitude.
        at: the next frame to play.
        fades: what moves its level now; a falling one takes it away at its end.
    """

    source: SongSource
    end: int
    gain: float
    at: int = 0
    fades: tuple[Fade, ...] = ()

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
        return not self.falling and not entering and self.left >= HUSH_FRAMES

    def with_fade(self, fade: Fade) -> Voice:
        """The same song with a fade more."""
        return replace(self, fades=(*self.fades, fade))

    def hushed(self, frames: int = HUSH_FRAMES) -> Voice:
        """The same song on its way to silence by a level fade, at most one as quick as HUSH_FRAMES."""
        going = any(not fade.rising and not fade.power and fade.frames <= HUSH_FRAMES for fade in self.fades)
        if going or self.left < HUSH_FRAMES:
            return self
        return self.with_fade(Fade(power=False, rising=False, frames=max(HUSH_FRAMES, frames)))

    def render(self, frames: int) -> tuple[Voice | None, NDArray[np.float32]]:
        """The next frames and what comes after them; None when the song is over. Fewer frames when it starves."""
        left = self.left
        samples = self.source.read(self.at, min(frames, left))
        count = len(samples)
        samples = samples * np.float32(self.gain)
        for fade in self.fades:
            samples *= fade.gains(count)[:, None]
        if left - count < HUSH_FRAMES and not self.falling:
            # The end of a file may be anything; what is left of it fades.
            frames_left = np.arange(left, left - count, -1, dtype=np.float32)
            tail = np.maximum(0.0, 1.0 - frames_left / np.float32(HUSH_FRAMES))
            samples *= _gains_of_db(np.float32(FLOOR_DB) * tail)[:, None]
        fades = tuple(fade.after(count) for fade in self.fades)
        if count >= left or any(fade.over and not fade.rising for fade in fades):
            return None, samples
        return replace(self, at=self.at + count, fades=tuple(fade for fade in fades if not fade.over)), samples


@dataclass(frozen=True, slots=True)
class Mix:
    """All that sounds.

    Attributes:
        voices: oldest first.
        master: the level of all.
        volume_db: what the level is when nothing is paused.
        paused: whether the level goes to silence, and all then stands still.
    """

    voices: tuple[Voice, ...] = ()
    master: Glide = field(default_factory=Glide)
    volume_db: float = 0.0
    paused: bool = False

    @classmethod
    def silent(cls, volume: float) -> Mix:
        """Nothing sounds, at a volume of 0..1 in amplitude."""
        volume_db = _db(volume)
        return cls(master=Glide(volume_db, volume_db), volume_db=volume_db)

    @property
    def still(self) -> bool:
        """Whether a pause has come to its standstill."""
        return self.paused and self.master.left == 0

    def crossfaded(self, source: SongSource, *, frames: int, gain_db: float, fade_frames: int) -> Mix:
        """Another song comes in, what sounds goes out; ends a pause (see AudioOutput.crossfade).

        Args:
            source: the song.
            frames: how many of its frames are to sound.
            gain_db: constant over the song.
            fade_frames: how long the fade lasts, where the old song lasts that long.
        """
        voice = Voice(source, frames, 10.0 ** (gain_db / 20.0))
        leans = bool(self.voices) and self.voices[-1].carries and not self.paused
        if self.still:
            olds: tuple[Voice, ...] = ()
        elif leans:
            fade_frames = max(1, min(fade_frames, self.voices[-1].left))
            fall = Fade(power=True, rising=False, frames=fade_frames)
            olds = (*(old.hushed() for old in self.voices[:-1]), self.voices[-1].with_fade(fall))
        else:
            olds = tuple(old.hushed() for old in self.voices)
        rise = Fade(power=leans, rising=True, frames=fade_frames if leans else HUSH_FRAMES)
        master = Glide(self.volume_db, self.volume_db) if self.still else self.master
        if self.paused and not self.still:
            master = self.master.to(self.volume_db)
        return replace(self, voices=(*olds, voice.with_fade(rise)), master=master, paused=False)

    def faded_out(self, fade_frames: int) -> Mix:
        """All goes to silence."""
        if self.still:
            return replace(self, voices=())
        return replace(self, voices=tuple(voice.hushed(fade_frames) for voice in self.voices))

    def with_pause(self, paused: bool) -> Mix:
        """All comes to a standstill, or goes on."""
        if paused == self.paused:
            return self
        return replace(self, paused=paused, master=self.master.to(FLOOR_DB if paused else self.volume_db))

    def at_volume(self, volume: float) -> Mix:
        """All at a volume of 0..1 in amplitude."""
        volume_db = _db(volume)
        master = self.master if self.paused else self.master.to(volume_db)
        return replace(self, volume_db=volume_db, master=master)

    def render(self, frames: int) -> tuple[Mix, NDArray[np.float32]]:
        """The next frames, float32 [frames, 2] with full scale at 1 and HEADROOM above it, and what comes after."""
        sound = np.zeros((frames, 2), np.float32)
        if self.still:
            # What was on its way out when the pause came need not come back after it.
            return replace(self, voices=tuple(voice for voice in self.voices if not voice.falling)), sound
        voices = []
        for voice in self.voices:
            later, samples = voice.render(frames)
            sound[: len(samples)] += samples
            if later is not None:
                voices.append(later)
        if self.voices:
            sound *= self.master.gains(frames)
        return replace(self, voices=tuple(voices), master=self.master.after(frames)), sound


def to_int16(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples as the device takes them. Clipping is out of reach while gains keep songs within full scale."""
    scaled = np.rint(sound * np.float32(HEADROOM * 32767.0))
    samples: NDArray[np.int16] = np.clip(scaled, -32768, 32767, out=scaled).astype(np.int16)
    return samples


def _db(volume: float) -> float:
    return max(FLOOR_DB, 20.0 * math.log10(volume)) if volume > 0.0 else FLOOR_DB


def _gains_of_db(levels_db: NDArray[np.float32]) -> NDArray[np.float32]:
    gains: NDArray[np.float32] = np.exp(levels_db * np.float32(math.log(10.0) / 20.0))
    gains[levels_db <= FLOOR_DB] = 0.0
    return gains
