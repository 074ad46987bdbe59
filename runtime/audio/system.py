"""What the process and ALSA can be asked beside SDL.

Everything here is a refinement: where a library or a call is missing the answer is that nothing is known.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path

_MAPS = Path("/proc/self/maps")


def quiet_alsa() -> None:
    """Stop ALSA from writing to stderr: 14 lines at every attempt to open a sound card that is not there.

    The handler is a C function that ignores its arguments: a Python callback would wait for the interpreter lock on
    ALSA's thread while the caller, which may hold that lock, waits for the thread (it hung when tried). Keeping the
    library loaded also takes a failing attempt from 107 ms to 4 ms.
    """
    try:
        alsa = ctypes.CDLL("libasound.so.2")
        ignore = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        alsa.snd_lib_error_set_handler(ignore)
    except (OSError, AttributeError):
        pass


def has_session(environ: Mapping[str, str]) -> bool:
    """Whether a sound server of this user's own may be near: it is named, or a place for it is there.

    Args:
        environ: the process's environment.
    """
    if any(environ.get(name) for name in ("XDG_RUNTIME_DIR", "PULSE_SERVER", "PULSE_RUNTIME_PATH")):
        return True
    # pulseaudio(1) without a session: a link here leads to its folder in /tmp.
    home = Path(environ.get("HOME", "/nonexistent"))
    return (home / ".pulse").is_dir() or any((home / ".config" / "pulse").glob("*-runtime"))


def loaded_library(name: str) -> str | None:
    """The path under which this process has mapped a library whose file name starts with `name`."""
    try:
        paths = {line.split(maxsplit=5)[-1].strip() for line in _MAPS.read_text().splitlines() if name in line}
    except OSError:
        return None
    return next((path for path in sorted(paths) if Path(path).name.startswith(name)), None)
