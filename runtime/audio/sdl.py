"""Sound through SDL 2, in the copy that pygame-ce brings: a queue that SDL empties by itself.

pygame's own mixer takes the interpreter lock in the audio callback whenever a sound ends; SDL's queue never does, so
that what is queued sounds however busy the interpreter is. SDL chooses the device; `SDL_AUDIODRIVER` (pulseaudio,
alsa, pipewire, dummy, disk, ...) overrides it.
"""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.errors import AudioError

from .output import SAMPLE_RATE_HZ
from .system import has_session, loaded_library, quiet_alsa

BUFFER_FRAMES = 512
"""12 ms: what SDL takes from the queue at a time."""

_INIT_AUDIO = 0x10
_INT16 = 0x8010
_BYTES_PER_FRAME = 4
_STOPPED = 0
"""SDL_AUDIO_STOPPED: not an open device, or one that has gone away. The sound is then pulled and thrown away at the
same pace, so that this status is the only trace."""
_STALL_S = 4.0
# Of PulseAudio run for the whole machine; the library's own second choice.
_SERVER_OF_ALL = "unix:/var/run/pulse/native"


class _Spec(ctypes.Structure):
    """SDL_AudioSpec."""

    _fields_ = (
        ("freq", ctypes.c_int),
        ("format", ctypes.c_uint16),
        ("channels", ctypes.c_uint8),
        ("silence", ctypes.c_uint8),
        ("samples", ctypes.c_uint16),
        ("padding", ctypes.c_uint16),
        ("size", ctypes.c_uint32),
        ("callback", ctypes.c_void_p),
        ("userdata", ctypes.c_void_p),
    )


@dataclass(frozen=True, slots=True)
class _Sdl:
    """SDL by two doors: `slow` lets other threads run meanwhile, `quick` keeps the interpreter lock."""

    slow: ctypes.CDLL
    quick: ctypes.PyDLL

    def error(self) -> str:
        """What SDL says went wrong last."""
        return (self.quick.SDL_GetError() or b"").decode(errors="replace")


_loaded: _Sdl | None = None


def _sdl() -> _Sdl:
    """SDL, loaded at the first call and not above, because it costs 60 ms that a muted run need not pay."""
    global _loaded
    if _loaded is not None:
        return _loaded
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # SDL would otherwise catch SIGTERM for itself and the service could not be stopped (seen with SDL 2.32).
    os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")
    os.environ.setdefault("SDL_APP_NAME", "emomusic-edge")
    if not has_session(os.environ):
        # Asked for its usual place, the sound server's library makes folders in the home folder and in /tmp to hold it.
        os.environ["PULSE_SERVER"] = _SERVER_OF_ALL
    import pygame.base

    path = loaded_library("libSDL2-")
    if path is None:
        raise AudioError(
            f"pygame {pygame.base.get_sdl_version()} brought no SDL 2 library that this process can find",
            mend="pip install 'pygame-ce>=2.5.3,<3' (an SDL 2 build), or run with --muted",
        )
    loaded = _Sdl(ctypes.CDLL(path), ctypes.PyDLL(path))
    loaded.quick.SDL_GetError.restype = ctypes.c_char_p
    loaded.quick.SDL_GetQueuedAudioSize.restype = ctypes.c_uint32
    loaded.quick.SDL_QueueAudio.argtypes = [ctypes.c_uint32, ctypes.c_char_p, ctypes.c_uint32]
    _loaded = loaded
    return loaded


class SdlSink:
    """The SoundSink of the machine's sound device."""

    def __init__(self) -> None:
        self._device = 0
        # The end of all that was written; never less than what is queued.
        self._written = bytearray()
        self._taken = 0
        self._total = 0
        self._moved_at_s = 0.0

    def open(self) -> None:
        """See SoundSink.open."""
        self.close()
        sdl = _sdl()
        quiet_alsa()
        mend = "plug in a speaker (it is looked for again by itself), or run with --muted"
        if sdl.slow.SDL_InitSubSystem(_INIT_AUDIO) != 0:
            raise AudioError(f"no audio device answers: {sdl.error()}", mend=mend)
        want = _Spec(freq=SAMPLE_RATE_HZ, format=_INT16, channels=2, samples=BUFFER_FRAMES)
        # The last 0: SDL converts where the device wants something else.
        device = sdl.slow.SDL_OpenAudioDevice(None, 0, ctypes.byref(want), ctypes.byref(_Spec()), 0)
        if device == 0:
            reason = sdl.error()
            sdl.slow.SDL_QuitSubSystem(_INIT_AUDIO)
            raise AudioError(f"no audio device answers: {reason}", mend=mend)
        self._device = device
        self._written.clear()
        self._taken = self._total = 0
        self._moved_at_s = time.monotonic()
        sdl.quick.SDL_PauseAudioDevice(device, 0)

    def write(self, samples: NDArray[np.int16]) -> None:
        """See SoundSink.write."""
        sdl, data = _sdl(), samples.tobytes()
        if sdl.quick.SDL_QueueAudio(self._device, data, len(data)) != 0:
            raise AudioError(f"the audio device takes no sound: {sdl.error()}")
        self._total += len(data)
        self._written += data
        if len(self._written) > 8 * _BYTES_PER_FRAME * SAMPLE_RATE_HZ:
            del self._written[: -_BYTES_PER_FRAME * SAMPLE_RATE_HZ]

    def queued(self) -> int:
        """See SoundSink.queued."""
        if not self._device:
            return 0
        queued = int(_sdl().quick.SDL_GetQueuedAudioSize(self._device))
        if self._total - queued != self._taken:
            self._taken, self._moved_at_s = self._total - queued, time.monotonic()
        return queued // _BYTES_PER_FRAME

    def replace_last(self, samples: NDArray[np.int16]) -> bool:
        """See SoundSink.replace_last."""
        if not self._device:
            return False
        quick, data = _sdl().quick, samples.tobytes()
        # SDL waits for this lock before it takes the next buffer, so that it cannot find the queue empty.
        quick.SDL_LockAudioDevice(self._device)
        try:
            queued = int(quick.SDL_GetQueuedAudioSize(self._device))
            if queued < len(data):
                return False
            kept = bytes(self._written[len(self._written) - queued : len(self._written) - len(data)])
            quick.SDL_ClearQueuedAudio(self._device)
            quick.SDL_QueueAudio(self._device, kept + data, len(kept) + len(data))
        finally:
            quick.SDL_UnlockAudioDevice(self._device)
        self._written[len(self._written) - len(data) :] = data
        return True

    def wait_for_room(self, frames: int, timeout_s: float) -> None:
        """See SoundSink.wait_for_room."""
        too_many = self.queued() - frames
        if too_many > 0:
            time.sleep(min(too_many / SAMPLE_RATE_HZ, timeout_s))

    def alive(self) -> bool:
        """See SoundSink.alive. False too when the device has taken no sound for 4 s."""
        if not self._device or _sdl().quick.SDL_GetAudioDeviceStatus(self._device) == _STOPPED:
            return False
        return self.queued() == 0 or time.monotonic() - self._moved_at_s < _STALL_S

    def close(self) -> None:
        """See SoundSink.close."""
        device, self._device = self._device, 0
        if device:
            sdl = _sdl()
            sdl.slow.SDL_CloseAudioDevice(device)
            sdl.slow.SDL_QuitSubSystem(_INIT_AUDIO)
