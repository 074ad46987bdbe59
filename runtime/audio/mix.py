"""The mixing desk: songs, fades and levels in, samples out. No clock and no device: time is the frames rendered.

A `Mix` is a value: a command gives a new one and `render` gives the next, so that sound which was mixed ahead but not
played yet can be mixed anew from any earlier value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .fades import FLOOR_DB, HUSH_FRAMES, Fade, Glide
from .voice import SongSource, Voice

HEADROOM = math.sqrt(0.5)
"""Two full-scale songs meet in a power fade at no more than sqrt(2): with this they cannot clip."""


@dataclass(frozen=True, slots=True)
class Mix:
    """All that sounds.

    Attributes:
        voices: oldest first.
        master: the level of all.
        volume_db: what the level is when nothing is paused.
        paused: whether the level goes to silence, and all then stands still where it was when the pause began.
        resuming: whether it goes on from its standstill at once.
    """

    voices: tuple[Voice, ...] = ()
    master: Glide = field(default_factory=Glide)
    volume_db: float = 0.0
    paused: bool = False
    resuming: bool = False

    @classmethod
    def silent(cls, volume: float) -> Mix:
        """Nothing sounds, at a volume of 0..1 in amplitude."""
        volume_db = _db(volume)
        return cls(master=Glide(volume_db, volume_db), volume_db=volume_db)

    @property
    def still(self) -> bool:
        """Whether a pause has come to its standstill."""
        return self.paused and self.master.left == 0

    def crossfaded(self, source: SongSource, *, frames: int, gain_db: float, fade_frames: int, skipped: int = 0) -> Mix:
        """Another song comes in, what sounds goes out; ends a pause (see AudioOutput.crossfade).

        Args:
            source: the song.
            frames: how many of its frames are to sound.
            gain_db: constant over the song.
            fade_frames: how long the fade lasts, where the old song lasts that long.
            skipped: frames of its beginning that are left out.
        """
        voice = Voice(source, frames, 10.0 ** (gain_db / 20.0), at=skipped)
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
        return replace(self, voices=(*olds, voice.with_fade(rise)), master=master, paused=False, resuming=False)

    def has(self, source: SongSource) -> bool:
        """Whether a song is among what sounds."""
        return any(voice.source is source for voice in self.voices)

    def faded_out(self, fade_frames: int) -> Mix:
        """All goes to silence."""
        if self.still:
            return replace(self, voices=())
        return replace(self, voices=tuple(voice.hushed(fade_frames) for voice in self.voices))

    def with_pause(self, paused: bool) -> Mix:
        """All comes to a standstill, or goes on; in the midst of a pause's fade, as soon as that is over."""
        if self.paused and not self.still:
            return replace(self, resuming=not paused)
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
            return self, sound
        voices = []
        for voice in self.voices:
            later, samples = voice.render(frames)
            sound[: len(samples)] += samples
            if later is not None and self.paused and not self.resuming:
                later = replace(later, unheard=later.unheard + later.at - voice.at)
            if later is not None:
                voices.append(later)
        if self.voices:
            sound *= self.master.gains(frames)
        return replace(self, voices=tuple(voices), master=self.master.after(frames))._settled(), sound

    def _settled(self) -> Mix:
        """At a standstill all is where it was when the pause began: whoever counts the time counts from there."""
        if not self.still:
            return self
        # What was on its way out when the pause came need not come back after it.
        settled = replace(self, voices=tuple(voice.at_pause() for voice in self.voices if not voice.falling))
        if not self.resuming:
            return settled
        return replace(settled, paused=False, resuming=False, master=self.master.to(self.volume_db))


def to_int16(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples as the device takes them. Clipping is out of reach while gains keep songs within full scale."""
    scaled = np.rint(sound * np.float32(HEADROOM * 32767.0))
    samples: NDArray[np.int16] = np.clip(scaled, -32768, 32767, out=scaled).astype(np.int16)
    return samples


def _db(volume: float) -> float:
    return max(FLOOR_DB, 20.0 * math.log10(volume)) if volume > 0.0 else FLOOR_DB
