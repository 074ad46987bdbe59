"""Which cameras this machine has: the video nodes that give pictures, with the names that survive a replug."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DEV = Path("/dev")
BY_ID = DEV / "v4l" / "by-id"

# linux/videodev2.h: struct v4l2_capability (driver[16], card[32], bus_info[32], version, capabilities, device_caps,
# reserved[3]) and VIDIOC_QUERYCAP = _IOR('V', 0, struct v4l2_capability)
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_VIDIOC_QUERYCAP = 0x80685600
_CAP_VIDEO_CAPTURE = 0x00000001
_CAP_VIDEO_CAPTURE_MPLANE = 0x00001000
_CAP_VIDEO_OUTPUT = 0x00000002
_CAP_VIDEO_OUTPUT_MPLANE = 0x00002000
_CAP_VIDEO_M2M = 0x00008000
_CAP_VIDEO_M2M_MPLANE = 0x00004000
_CAP_META_CAPTURE = 0x00800000
_CAP_DEVICE_CAPS = 0x80000000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Capability:
    """What a video node says of itself.

    Attributes:
        card: the device's name, e.g. `HD Pro Webcam C920`.
        captures: whether it gives pictures (a UVC camera also has a metadata node, a codec has nodes of its own).
    """

    card: str
    captures: bool


@dataclass(frozen=True, slots=True)
class CameraNode:
    """A camera of this machine.

    Attributes:
        path: /dev/videoN; the number may change when it is plugged in again.
        by_id: its link in /dev/v4l/by-id, which stays the same; None where the device has no serial name.
        card: the device's name.
    """

    path: Path
    by_id: Path | None
    card: str

    @property
    def device(self) -> Path:
        """The path to open it by."""
        return self.by_id or self.path


def parse_capability(answer: bytes) -> Capability:
    """Read the 104 bytes of a struct v4l2_capability."""
    _driver, card, _bus, _version, whole, node = _CAPABILITY.unpack(answer)
    caps = node if whole & _CAP_DEVICE_CAPS else whole
    gives = caps & (_CAP_VIDEO_CAPTURE | _CAP_VIDEO_CAPTURE_MPLANE)
    other = caps & (
        _CAP_VIDEO_OUTPUT | _CAP_VIDEO_OUTPUT_MPLANE | _CAP_VIDEO_M2M | _CAP_VIDEO_M2M_MPLANE | _CAP_META_CAPTURE
    )
    return Capability(card=card.split(b"\0")[0].decode(errors="replace"), captures=bool(gives) and not other)


def query_capability(path: Path) -> Capability | None:
    """Ask a node what it is; None where it does not answer as a video node.

    Raises:
        OSError: it is missing, or may not be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return parse_capability(fcntl.ioctl(descriptor, _VIDIOC_QUERYCAP, bytes(_CAPABILITY.size)))
    except OSError:
        return None
    finally:
        os.close(descriptor)


def cameras(dev: Path = DEV, query: Callable[[Path], Capability | None] = query_capability) -> tuple[CameraNode, ...]:
    """The nodes that give pictures, lowest number first; those that may not be opened are left out."""
    links = {}
    by_id = dev / "v4l" / "by-id"
    if by_id.is_dir():
        links = {link.resolve(): link for link in sorted(by_id.iterdir(), reverse=True)}
    found = []
    for node in sorted(dev.glob("video[0-9]*"), key=lambda node: int(re.sub(r"\D", "", node.name) or 0)):
        try:
            capability = query(node)
        except OSError as cause:
            _log.info("%s is passed over: %s", node, cause.strerror or cause)
            continue
        if capability is not None and capability.captures:
            found.append(CameraNode(path=node, by_id=links.get(node.resolve()), card=capability.card))
    return tuple(found)
