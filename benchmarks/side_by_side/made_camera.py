"""A USB camera for the service: the one of the tests (file_camera.py), as /dev/video0 of a run that sees no other /dev.

OpenCV, its Video4Linux backend and the process that reads the camera are the real ones; only the kernel's side is made.
It opens at once, as few real cameras do.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from side_by_side.roster import REPO
from side_by_side.worker_process import PeerError

SOURCE = "0"
WIDTH_PX, HEIGHT_PX = 640, 480
_PERIOD_MS = 33
_DEVICES = ("null", "zero", "full", "random", "urandom")
# Mounts are those of the run alone (unshare); they go with it.
_ENTER = f"""
dev=$1; shift
for name in {" ".join(_DEVICES)}; do mount --bind /dev/$name $dev/$name || exit; done
mount -t tmpfs none $dev/shm && mount --rbind $dev /dev && exec "$@"
"""


@dataclass(frozen=True)
class MadeCamera:
    """Its folder, which stands for /dev, and what to preload."""

    dev: Path
    preload: str

    def before(self, command: Sequence[str]) -> list[str]:
        """A command line that runs `command` where the camera is."""
        return ["unshare", "--mount", "sh", "-c", _ENTER, "sh", str(self.dev), *command]


def made_camera(folder: Path) -> MadeCamera:
    """One that shows 640x480 pictures, 30 a second.

    Args:
        folder: empty.

    Raises:
        PeerError: there is no C compiler, or this user may mount nothing.
    """
    if not (shutil.which("cc") or shutil.which("gcc")):
        raise PeerError("no C compiler for a camera made of files")
    sys.path.insert(0, str(REPO / "tests" / "runtime"))
    from file_camera import FileCamera, preload

    files = FileCamera(folder, width_px=WIDTH_PX, height_px=HEIGHT_PX)
    files.play(period_ms=_PERIOD_MS)
    (files.dev / "shm").mkdir()
    for name in _DEVICES:
        (files.dev / name).touch()
    camera = MadeCamera(files.dev, preload(files))
    tried = subprocess.run(camera.before(["true"]), capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        said = tried.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise PeerError(f"a /dev of its own needs root: {said[0]}")
    return camera
