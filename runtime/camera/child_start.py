"""Starts the process that reads a camera: its command line, and what it is given of this process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_CHILD = "emomusic_edge.runtime.camera.child"

_SERVICE_ONLY = ("EMOMUSIC_", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_")


def start_child(control: int, memory: int) -> subprocess.Popen[bytes]:
    """Start it; it ends when the thread that called this does.

    Args:
        control: the descriptor of its end of the socket.
        memory: that of the picture slot.

    Raises:
        OSError: the system starts no process.
    """
    return subprocess.Popen(
        [sys.executable, "-m", _CHILD, str(control), str(memory), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # libjpeg complains there of every broken picture
        stderr=subprocess.DEVNULL,
        pass_fds=(control, memory),
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    """This process's own with the path it imports from, but nothing that concerns the service alone.

    What decodes a device's bytes needs no password, and decoding pictures needs no thread pools.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SERVICE_ONLY)}
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**kept, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
