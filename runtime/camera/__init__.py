"""Pictures in: decides from what the user wrote which frame source is meant.

source_from("0" | "/dev/video2" | "usb-046d_…-video-index0" | "clip.mp4" | "pictures/" | "auto") -> FrameSource
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from emomusic_edge.contracts import FrameSource
from emomusic_edge.errors import SourceError

from .child_camera import ChildCamera, usb_camera
from .discover import BY_ID, DEV, CameraNode, cameras
from .followed import FollowedCamera
from .image_folder import PICTURE_SUFFIXES, ImageFolder
from .usb import UsbCamera, device_path
from .video_file import VideoFile

__all__ = [
    "CameraNode",
    "ChildCamera",
    "FollowedCamera",
    "ImageFolder",
    "UsbCamera",
    "VideoFile",
    "cameras",
    "source_from",
]

AUTO = "auto"

_log = logging.getLogger(__name__)

_NUMBERED = re.compile(r"video\d+")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SOURCES = "a camera index (0), /dev/videoN, a /dev/v4l/by-id name, a video file, a folder of pictures, or auto"


def source_from(
    spec: str,
    *,
    width_px: int = 640,
    height_px: int = 480,
    frames_per_second: float = 30.0,
    seconds_per_picture: float | None = None,
    wait: bool = False,
) -> FrameSource | None:
    """The source that `spec` names, not yet opened.

    Args:
        spec: a camera index, a device path, the name of a link in /dev/v4l/by-id, a video file, a picture, a folder of
            pictures, or `auto` for the first camera that gives a picture.
        width_px: what a camera is asked for; it gives the nearest it can.
        height_px: likewise.
        frames_per_second: likewise.
        seconds_per_picture: how long each picture of a folder lasts; 1 / frames_per_second by default.
        wait: `auto` is a source also while no camera is here; one that comes later is taken.

    Returns:
        The source; None only for `auto` on a machine without a working camera, without `wait`. Cameras are read in a
        process of their own.

    Raises:
        SourceError: `spec` is a network address, or names nothing that gives pictures. A camera that is named but not
            plugged in is no error yet: it may come, and `open()` says so until it does.
    """

    def in_child(device: str) -> ChildCamera:
        return usb_camera(device, width_px=width_px, height_px=height_px, frames_per_second=frames_per_second)

    def camera(device: str) -> FrameSource:
        path = device_path(device)
        # A number is no name: what is plugged in again may get another. By-id links and the like are the user's own.
        is_numbered = path.parent == DEV and _NUMBERED.fullmatch(path.name)
        return FollowedCamera(path, in_child) if is_numbered else in_child(device)

    if not spec.strip():
        raise SourceError("--source is empty.", mend=f"--source takes {_SOURCES}")
    if spec == AUTO:
        first = FollowedCamera(None, in_child)
        return first if wait or _gives_pictures(first) else None
    if _URL.match(spec):
        raise SourceError(
            f"{_without_password(spec)} is a network address: emomusic-edge is offline by design and takes pictures "
            "only from this machine.",
            mend=f"--source takes {_SOURCES}",
        )
    if spec.isdecimal():
        return camera(spec)
    path = Path(spec).expanduser()
    if path.is_dir():
        return ImageFolder(path, seconds_per_picture=seconds_per_picture or 1.0 / frames_per_second)
    if path.is_file():
        if path.suffix.lower() in PICTURE_SUFFIXES:
            return ImageFolder(path, seconds_per_picture=seconds_per_picture or 1.0 / frames_per_second)
        return VideoFile(path)
    if path.is_char_device() or device_path(spec).is_relative_to(DEV):
        return camera(spec)
    if path.exists():
        raise SourceError(
            f"{spec} is neither a file, a folder nor a camera device.",
            mend=f"--source takes {_SOURCES}",
        )
    raise SourceError(
        f"{spec} is not here: no file, folder or camera of that name{_cameras_here()}.",
        mend=f"--source takes {_SOURCES}",
    )


def _gives_pictures(camera: FollowedCamera) -> bool:
    try:
        camera.open()
    except SourceError as refusal:
        _log.warning("no camera: %s", refusal)
        return False
    finally:
        camera.close()
    return True


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", url)


def _cameras_here() -> str:
    names = sorted(link.name for link in BY_ID.glob("*")) if BY_ID.is_dir() else []
    return f" (cameras here: {', '.join(names)})" if names else ""
