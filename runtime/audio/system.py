"""What SDL and ALSA know of the sound device and pygame does not tell, asked of the libraries that pygame has loaded.

Everything here is a refinement: where a library or a call is missing (another platform, SDL 3) the answer is that
nothing is known, and the caller goes on without.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_DEVICE_IDS = range(2, 17)
"""SDL 2 hands out these ids to devices opened by SDL_OpenAudioDevice, as SDL_mixer does; 1 is the old API's."""
_STOPPED = 0
"""SDL_AUDIO_STOPPED: not an open device, or one that has gone away."""


class SdlDevice:
    """An audio device that SDL 2 has open.

    After a device is gone SDL goes on to pull sound and throws it away at the same pace, so that nothing in pygame's
    API changes (`get_busy()` and `get_init()` stay true); the status of the device is the only trace outside of SDL's
    event queue, which pygame reads only with a display.
    """

    def __init__(self, sdl: ctypes.CDLL, device_id: int) -> None:
        self._sdl = sdl
        self._device_id = device_id

    @classmethod
    def find(cls) -> SdlDevice | None:
        """The device that is open in this process; None where it cannot be known."""
        path = _loaded_library("libSDL2-")
        if path is None:
            return None
        try:
            sdl = ctypes.CDLL(path)
            for device_id in _DEVICE_IDS:
                if sdl.SDL_GetAudioDeviceStatus(device_id) != _STOPPED:
                    return cls(sdl, device_id)
        except (OSError, AttributeError):
            pass
        return None

    def gone(self) -> bool:
        """Whether the device was unplugged, or its sound server ended."""
        return bool(self._sdl.SDL_GetAudioDeviceStatus(self._device_id) == _STOPPED)


def quiet_alsa() -> None:
    """Stop ALSA from writing to stderr: 14 lines at every attempt to open a sound card that is not there.

    The handler is a C function that ignores its arguments: a Python callback would wait for the interpreter lock on
    ALSA's thread while pygame, which holds that lock, waits for the thread (it hung when tried). Keeping the library
    loaded also takes a failing attempt from 107 ms to 4 ms, all of it under the lock.
    """
    try:
        alsa = ctypes.CDLL("libasound.so.2")
        ignore = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        alsa.snd_lib_error_set_handler(ignore)
    except (OSError, AttributeError):
        pass


def _loaded_library(name: str) -> str | None:
    """The path under which this process has mapped a library whose file name starts with `name`."""
    try:
        paths = {line.split(maxsplit=5)[-1].strip() for line in _MAPS.read_text().splitlines() if name in line}
    except OSError:
        return None
    return next((path for path in sorted(paths) if Path(path).name.startswith(name)), None)
