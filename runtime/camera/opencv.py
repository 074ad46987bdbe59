"""OpenCV's capture, quiet, and its pictures checked: what the camera and the video file share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

# Read when FFmpeg is first used; without it a broken file writes its demuxer's complaints over the live view. Our own
# errors say what matters.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

from emomusic_edge.contracts import Image
from emomusic_edge.errors import SourceError

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used here."""

    def isOpened(self) -> bool:  # noqa: N802
        """Whether it was opened; stays True at the end of a file."""
        ...

    def read(self) -> tuple[bool, Any]:
        """(False, None) at the end or on failure, else (True, picture)."""
        ...

    def get(self, prop: int) -> float:
        """A property; 0 where it is not known."""
        ...

    def set(self, prop: int, value: float) -> bool:
        """Ask for a property; the device may refuse."""
        ...

    def release(self) -> None:
        """Let go of the device or file."""
        ...


def capture_from(path: str, backend: int, parameters: Sequence[int] = ()) -> Capture:
    """cv2.VideoCapture through one backend only, so that OpenCV does not guess another meaning for the path."""
    return cv2.VideoCapture(path, backend, list(parameters))


def read_bytes(capture: Capture, name: str) -> Any | None:
    """What the capture gives, as it is; None where it gives nothing.

    Raises:
        SourceError: OpenCV failed.
    """
    try:
        ok, given = capture.read()
    except cv2.error as cause:
        raise SourceError(f"{name} does not decode: {cause.err or cause}.") from cause
    return given if ok else None


def read_picture(capture: Capture, name: str) -> Image | None:
    """The next picture, uint8 [H, W, 3] BGR; None where the capture gives none.

    Raises:
        SourceError: OpenCV failed, or what came is no 8-bit colour picture.
    """
    picture = read_bytes(capture, name)
    if picture is None:
        return None
    if picture.dtype == np.uint8 and picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise SourceError(
            f"{name} gives {picture.dtype} pictures of shape {tuple(picture.shape)}; 8-bit colour ones are expected.",
            mend="use a USB (UVC) camera; a raw CSI sensor needs its maker's pipeline in front of it",
        )
    image: Image = picture
    return image
