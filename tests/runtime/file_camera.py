"""A camera made of files under the real OpenCV and the real camera class: only the kernel's side is made.

file_camera.c answers the Video4Linux calls of processes that are started with its LD_PRELOAD; this module says what it
answers, and tells who holds the device.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_pictures import STEP

from emomusic_edge.contracts import Image

SOURCE = Path(__file__).with_name("file_camera.c")
FRAME_MS = 10


class FileCamera:
    """A folder that stands for /dev, with one camera in it, plugged in as video0.

    Attributes:
        dev: the folder.
        library: what to preload.
        by_id: the camera's link by its name.
    """

    def __init__(self, folder: Path, *, width_px: int = 64, height_px: int = 48) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("no C compiler for the camera of files")
        self.dev = folder / "dev"
        (self.dev / "v4l" / "by-id").mkdir(parents=True)
        self.by_id = self.dev / "v4l" / "by-id" / "usb-Files_Camera-video-index0"
        self.library = folder / "file_camera.so"
        subprocess.run(
            [compiler, "-O1", "-shared", "-fPIC", "-o", self.library, SOURCE, "-ldl"], check=True, capture_output=True
        )
        self._folder = folder
        self._shape = (height_px, width_px, 3)
        self.device = self.dev / "video0"
        rng = np.random.default_rng(7)
        self._write("room", [self._noisy(rng, number * STEP) for number in range(1, 20)])
        self.plug_in()

    def _write(self, name: str, pictures: list[Image]) -> Path:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        for number, image in enumerate(pictures):
            jpeg = cv2.imencode(".jpg", image)[1].tobytes()
            (folder / f"{number:03d}.jpg").write_bytes(jpeg)
        return folder

    @property
    def _mode_file(self) -> Path:
        return self.device.with_name(f"mode-of-{self.device.name}")

    def set(self, mode: str) -> None:
        """Change what it answers, as one step."""
        if self.device.exists():
            new = self.device.with_name("mode.new")
            new.write_text(mode + "\n")
            new.replace(self._mode_file)

    def play(self, name: str = "room", period_ms: int = FRAME_MS) -> None:
        """Show the pictures of a folder that was made before."""
        self.set(f"play {self._folder / name} {period_ms}")

    def _noisy(self, rng: np.random.Generator, grey: int) -> Image:
        return np.clip(rng.normal(grey % 256, 6.0, self._shape), 0, 255).astype(np.uint8)

    def make_still(self) -> None:
        """A folder `still`: one picture only, what a hung camera gives."""
        self._write("still", [self._noisy(np.random.default_rng(8), 120)])

    def make_black(self) -> None:
        """A folder `black`: a covered lens, with a little noise."""
        rng = np.random.default_rng(9)
        self._write("black", [rng.integers(0, 6, self._shape).astype(np.uint8) for _ in range(8)])

    def make_junk(self) -> None:
        """A folder `junk`: what is no JPEG at all."""
        folder = self._folder / "junk"
        folder.mkdir(exist_ok=True)
        (folder / "000.jpg").write_bytes(bytes(2000))

    def make_cut(self, good_of_ten: int = 3) -> None:
        """A folder `cut`: most pictures end in the middle."""
        rng = np.random.default_rng(10)
        folder = self._write("cut", [self._noisy(rng, 20 * number) for number in range(10)])
        for number in range(good_of_ten, 10):
            picture = folder / f"{number:03d}.jpg"
            picture.write_bytes(picture.read_bytes()[: picture.stat().st_size // 2])

    def plug_in(self, number: int = 0, *, named: bool = True) -> None:
        """Plug it in under a number, with or without a link by its name; it shows the room."""
        self.device = self.dev / f"video{number}"
        self.device.touch()
        if named:
            self.by_id.symlink_to(Path("..") / ".." / self.device.name)
        self.play()

    def unplug(self) -> None:
        """Pull it out: its nodes are gone, and who reads it is told so."""
        self._mode_file.unlink(missing_ok=True)
        self.device.unlink(missing_ok=True)
        self.by_id.unlink(missing_ok=True)

    def replug(self, number: int) -> None:
        """As new, under a number and with its name."""
        self.unplug()
        self.plug_in(number)

    def holders(self) -> set[int]:
        """The processes that hold a camera's file descriptor."""
        found = set()
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                target = link.readlink()
            except OSError:
                continue
            # a node that is gone is told as `/dev/video0 (deleted)`
            if target.parent == self.dev and target.name.startswith("video"):
                found.add(int(link.parts[2]))
        return found


def alive(pid: int) -> bool:
    """Whether a process runs (one that is only waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def preload(camera: FileCamera) -> str:
    """LD_PRELOAD with the camera's library in front of what is there."""
    return " ".join(filter(None, [str(camera.library), os.environ.get("LD_PRELOAD", "")]))
