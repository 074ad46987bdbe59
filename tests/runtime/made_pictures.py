"""Makes small real videos and pictures whose every frame tells its own number by its brightness."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from fake_camera import picture

STEP = 12
"""Grey levels between two frames, wide enough to survive lossy coding."""


def write_video(path: Path, frames: int = 20, frames_per_second: float = 20.0, codec: str = "MJPG") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), frames_per_second, (64, 48))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(picture(number * STEP))
    writer.release()
    return path


def write_pictures(folder: Path, frames: int = 20) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(frames):
        assert cv2.imwrite(str(folder / f"img{number}.png"), picture(number * STEP))
    return folder


def number_of(image: np.ndarray) -> int:
    """Which frame it is, of those that write_video or write_pictures wrote."""
    return round(float(image.mean()) / STEP)
