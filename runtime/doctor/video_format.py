"""In which form a camera's pictures come over the wire, asked of Video4Linux beside whoever has it open."""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

# linux/videodev2.h on 64 bits: struct v4l2_format (208 bytes) begins with the type and 4 bytes of padding, then
# struct v4l2_pix_format with width, height, pixelformat; VIDIOC_G_FMT = _IOWR('V', 4, struct v4l2_format).
_FORMAT = struct.Struct("=I4xII4s188x")
_VIDIOC_G_FMT = 0xC0D05604
_VIDEO_CAPTURE = 1


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What a camera sends.

    Attributes:
        width_px: of a picture.
        height_px: likewise.
        pixels: the four letters of its form: `MJPG` is compressed, `YUYV` is not.
    """

    width_px: int
    height_px: int
    pixels: str


def parse_format(answer: bytes) -> VideoFormat:
    """Read the 208 bytes of a struct v4l2_format."""
    _kind, width_px, height_px, letters = _FORMAT.unpack(answer)
    return VideoFormat(width_px, height_px, letters.decode("ascii", "replace").strip())


def query_format(path: Path) -> VideoFormat | None:
    """What the camera is set to; None where it does not say."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        asked = _FORMAT.pack(_VIDEO_CAPTURE, 0, 0, b"")
        return parse_format(fcntl.ioctl(descriptor, _VIDIOC_G_FMT, asked))
    except OSError:
        return None
    finally:
        os.close(descriptor)
