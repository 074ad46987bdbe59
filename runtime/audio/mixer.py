"""Sound through pygame-ce's mixer (SDL 2): two channels, an equal-power crossfade between them.

SDL chooses the device; `SDL_AUDIODRIVER` (pulseaudio, alsa, pipewire, dummy, disk, ...) overrides it.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.errors import AudioError

from .output import Track
from .system import SdlDevice, quiet_alsa

if TYPE_CHECKING:
    from types import ModuleType

    import pygame.mixer

SAMPLE_RATE_HZ = 44_100
BUFFER_FRAMES = 1024
"""23 ms: a fade moves by at most 1.2 % of full scale from buffer to buffer."""
HEADROOM = math.sqrt(0.5)
"""Two full-scale tracks meet in an equal-power crossfade at no more than sqrt(2): with this they cannot clip."""

_GLIDE_S = 0.2
_HUSH_S = 0.08
_STEP_S = 0.01
_TAIL_S = 0.05
_CLOSE_FADE_S = 0.2
_STALL_S = 4.0
_BEAT_S = 2.0
_CHANNELS = 2
_BEAT_CHANNEL = 2


class PygameMixer:
    """The real AudioOutput.

    The way of a crossfade: the old track falls by SDL's own linear fade, g = 1 - x over the fade, which runs in the
    audio callback and so goes on while the worker decodes or the interpreter is busy. The new track's rise is worked
    into its samples as sqrt(1 - (1 - x)^2), which makes the two powers sum to one at every instant.

    The volume is set as SDL's panning (left = right, 255 steps, multiplied in apart from the fade's 128 steps), so that
    a fade stays as smooth at a low volume as at a high one.
    """

    def __init__(self) -> None:
        self._mixer: ModuleType | None = None
        self._channels: list[pygame.mixer.Channel] = []
        self._newest = 0
        self._volume = 1.0
        self._level = 1.0
        self._paused = False
        self._device: SdlDevice | None = None
        self._beat_sound: pygame.mixer.Sound | None = None
        self._beat_at_s = 0.0

    def open(self) -> None:
        """See AudioOutput.open."""
        pygame = _import_pygame()
        self._let_go()
        quiet_alsa()
        try:
            pygame.mixer.init(SAMPLE_RATE_HZ, -16, 2, BUFFER_FRAMES, allowedchanges=0)
        except pygame.error as error:
            raise AudioError(
                f"no audio device answers: {error}",
                mend="plug in a speaker (it is looked for again by itself), or run with --muted",
            ) from error
        self._mixer = pygame.mixer
        pygame.mixer.set_num_channels(_CHANNELS + 1)
        self._channels = [pygame.mixer.Channel(number) for number in range(_CHANNELS)]
        self._beat_sound = pygame.mixer.Sound(buffer=bytes(4 * int(_BEAT_S * SAMPLE_RATE_HZ)))
        self._beat_at_s = time.monotonic()
        self._device = SdlDevice.find()
        self._level = self._volume
        self._paused = False

    def load(self, path: Path) -> Track:
        """See AudioOutput.load. The whole file is decoded: 10.6 MB a minute."""
        pygame = _import_pygame()
        # Asked first because opening a folder or a pipe would fail without a word or wait for ever.
        if not path.is_file():
            raise AudioError(f"{path}: not found, or not a file; expected an audio file (ogg, flac, mp3, wav)")
        try:
            sound = pygame.mixer.Sound(file=str(path))
        except (pygame.error, OSError, ValueError, MemoryError) as error:
            raise AudioError(f"{path}: does not decode ({error}); expected ogg, flac, mp3 or wav") from error
        frames = len(_samples(sound))
        if frames == 0:
            raise AudioError(f"{path}: holds no sound; expected ogg, flac, mp3 or wav")
        return Track(duration_s=frames / SAMPLE_RATE_HZ, handle=sound)

    def crossfade(self, track: Track, *, start_s: float, end_s: float, fade_s: float, gain_db: float) -> None:
        """See AudioOutput.crossfade."""
        if self._mixer is None:
            return
        sound = self._cut(track, start_s, end_s, fade_s, gain_db)
        old, new = self._channels[self._newest], self._channels[1 - self._newest]
        if self._paused:
            old.stop()
            new.stop()
            self._paused = False
            self._level = self._volume
        # Two crossfades in quick succession: the oldest of three tracks gives way.
        if new.get_busy():
            self._glide([new], self._level, 0.0, _HUSH_S)
        if old.get_busy():
            old.fadeout(max(1, round(1000 * fade_s)))
        # play() puts the channel back to full volume; silent until it is set, or a buffer could slip out too loud.
        sound.set_volume(0.0)
        new.play(sound)
        new.set_volume(self._level, self._level)
        sound.set_volume(1.0)
        self._newest = 1 - self._newest

    def fade_out(self, fade_s: float) -> None:
        """See AudioOutput.fade_out."""
        for channel in self._channels:
            if self._paused:
                channel.stop()
            elif channel.get_busy():
                channel.fadeout(max(1, round(1000 * fade_s)))

    def pause(self) -> None:
        """See AudioOutput.pause."""
        if self._paused:
            return
        self._move_level(0.0)
        for channel in self._channels:
            channel.pause()
        self._paused = True

    def resume(self) -> None:
        """See AudioOutput.resume."""
        if not self._paused:
            return
        for channel in self._channels:
            channel.unpause()
        self._paused = False
        self._move_level(self._volume)

    def set_volume(self, volume: float) -> None:
        """See AudioOutput.set_volume."""
        self._volume = min(1.0, max(0.0, volume))
        if not self._paused:
            self._move_level(self._volume)

    def alive(self) -> bool:
        """See AudioOutput.alive. False too when the device has taken no sound for some seconds."""
        if self._mixer is None or self._mixer.get_init() is None or self._beat_sound is None:
            return False
        if self._device is not None and self._device.gone():
            return False
        beat = self._mixer.Channel(_BEAT_CHANNEL)
        now_s = time.monotonic()
        # Two seconds of silence that do not end tell that nobody pulls sound any more. Not shorter, because pygame
        # takes the interpreter lock in the audio callback whenever a sound ends.
        if not beat.get_busy():
            beat.play(self._beat_sound)
            self._beat_at_s = now_s
        return now_s - self._beat_at_s < _STALL_S

    def close(self) -> None:
        """See AudioOutput.close."""
        sounds = any(channel.get_busy() for channel in self._channels) and not self._paused
        if sounds and self.alive():
            self.fade_out(_CLOSE_FADE_S)
            time.sleep(_CLOSE_FADE_S + BUFFER_FRAMES / SAMPLE_RATE_HZ)
        self._let_go()

    def _let_go(self) -> None:
        mixer, self._mixer = self._mixer, None
        self._channels = []
        self._beat_sound = None
        self._device = None
        if mixer is not None:
            mixer.quit()

    def _move_level(self, level: float) -> None:
        busy = [channel for channel in self._channels if channel.get_busy()]
        self._glide(busy, self._level, level, _GLIDE_S)
        self._level = level

    @staticmethod
    def _glide(channels: list[pygame.mixer.Channel], old: float, new: float, seconds: float) -> None:
        """Move the level of channels in small steps, since one step would click."""
        if not channels or old == new:
            return
        steps = round(seconds / _STEP_S)
        for step in range(1, steps + 1):
            level = old + (new - old) * step / steps
            for channel in channels:
                channel.set_volume(level, level)
            time.sleep(_STEP_S)

    def _cut(self, track: Track, start_s: float, end_s: float, fade_s: float, gain_db: float) -> pygame.mixer.Sound:
        """A stretch of a track with gain, rise and a short tail (against a click at its end) worked in."""
        first, last = round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
        sound: pygame.mixer.Sound = _import_pygame().mixer.Sound(buffer=_samples(track.handle)[first:last])
        shape_in_place(_samples(sound), fade_frames=round(fade_s * SAMPLE_RATE_HZ), gain_db=gain_db)
        return sound


def shape_in_place(samples: NDArray[np.int16], *, fade_frames: int, gain_db: float) -> None:
    """Work gain, headroom, the crossfade's rise and a 50-ms tail into samples, int16 [frames, 2]."""
    if not len(samples):
        return
    peak = max(int(samples.max()), -int(samples.min()), 1)
    gain = min(10.0 ** (gain_db / 20.0), 32767.0 / peak) if gain_db > 0 else 10.0 ** (gain_db / 20.0)
    scale = np.float32(gain * HEADROOM)
    rise, tail = min(fade_frames, len(samples)), min(round(_TAIL_S * SAMPLE_RATE_HZ), len(samples))
    left = 1.0 - np.arange(rise, dtype=np.float32) / max(1, fade_frames)
    np.multiply(samples, scale, out=samples, casting="unsafe")
    np.multiply(samples[:rise], np.sqrt(1.0 - left**2)[:, None], out=samples[:rise], casting="unsafe")
    np.multiply(
        samples[-tail:], np.linspace(1, 0, tail, dtype=np.float32)[:, None], out=samples[-tail:], casting="unsafe"
    )


def _samples(sound: pygame.mixer.Sound) -> NDArray[np.int16]:
    """A view of a sound's own memory, int16 [frames, 2]."""
    return np.asarray(memoryview(sound))  # type: ignore[arg-type]


def _import_pygame() -> Any:
    """The package with its mixer; imported here and not above because it costs 60 ms that a muted run need not pay."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # SDL would otherwise catch SIGTERM for itself and the service could not be stopped (seen with SDL 2.32).
    os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")
    os.environ.setdefault("SDL_APP_NAME", "emomusic-edge")
    import pygame
    import pygame.mixer

    return pygame
