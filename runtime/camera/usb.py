"""A USB camera through Video4Linux as a frame source, stamped with the monotonic clock."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from emomusic_edge.contracts import Frame, Image
from emomusic_edge.errors import SourceError

from .discover import BY_ID, DEV, Capability, query_capability
from .mjpg import MjpgDecoder
from .opencv import Capture, capture_from, read_bytes, read_picture

_MJPG = cv2.VideoWriter.fourcc(*"MJPG")

# Nothing but broken pictures for so long, and the camera is opened anew.
_CORRUPT_S = 2.0
_MEND_BROKEN = "try another cable or USB port, and no hub in between"


def device_path(device: str) -> Path:
    """Where a camera lives: `0` -> /dev/video0; a bare name -> its link in /dev/v4l/by-id; a path as it is.

    A bare name is taken for a link only when it is there, or looks like one (udev begins them with `usb-`).
    """
    if device.isdecimal():
        return DEV / f"video{int(device)}"
    if "/" not in device and (device.startswith("usb-") or (BY_ID / device).is_symlink()):
        return BY_ID / device
    return Path(device)


def _connect(path: str) -> Capture:
    return capture_from(path, cv2.CAP_V4L2)


class UsbCamera:
    """Frames of a UVC camera, compressed (MJPG) on the wire so that several fit one USB bus.

    The device is looked up anew at each `open()`: a by-id link may lead to another number after a replug. Frame
    numbers go on over a reopen.

    Args:
        device: an index, a device path or a by-id name, as `device_path` takes it.
        width_px, height_px, frames_per_second: what is asked for; the camera gives the nearest it can.
        clock: monotonic seconds.
        query, connect: the hardware seam: what a node says of itself, and OpenCV's capture on it.
    """

    live = True

    def __init__(
        self,
        device: str,
        *,
        width_px: int = 640,
        height_px: int = 480,
        frames_per_second: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        query: Callable[[Path], Capability | None] = query_capability,
        connect: Callable[[str], Capture] = _connect,
    ) -> None:
        self._device = device_path(device)
        self._wishes = (
            # the pixel format first: it decides which sizes and rates there are
            (cv2.CAP_PROP_FOURCC, float(_MJPG)),
            (cv2.CAP_PROP_FRAME_WIDTH, float(width_px)),
            (cv2.CAP_PROP_FRAME_HEIGHT, float(height_px)),
            (cv2.CAP_PROP_FPS, frames_per_second),
        )
        self._clock = clock
        self._query = query
        self._connect = connect
        self._capture: Capture | None = None
        self._decoder: MjpgDecoder | None = None
        self._seq = 0

    @property
    def name(self) -> str:
        """The device's path."""
        return str(self._device)

    @property
    def trouble(self) -> str:
        """What is wrong though pictures come: most of them are broken, and passed over. Empty when all is well."""
        if self._decoder is None or not self._decoder.most_corrupt:
            return ""
        return (
            f"most pictures of {self.name} are broken and passed over ({self._decoder.corrupt} so far); {_MEND_BROKEN}"
        )

    def open(self) -> None:
        """Take the camera.

        Raises:
            SourceError: it is not there, may not be used by this user, is no camera, or another programme has it.
        """
        self.close()
        try:
            capability = self._query(self._device)
        except OSError as cause:
            raise device_error(self.name, cause) from cause
        if capability is None:
            raise SourceError(
                f"{self.name} is no video device.", mend="--source auto takes the first camera that works"
            )
        if not capability.captures:
            raise SourceError(
                f"{self.name} ({capability.card}) gives no pictures: it is the metadata or codec node of a device.",
                mend="take the neighbouring /dev/videoN, or --source auto",
            )
        capture = self._connect(str(self._device.resolve()))
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"{self.name} does not open as a camera; another programme may be using it.",
                mend=f"`fuser -v {self.name}` tells who has it",
            )
        for prop, value in self._wishes:
            capture.set(prop, value)
        # Undecoded, so that a broken picture is seen as one; a camera that knows no MJPG is converted by OpenCV.
        on_v4l2 = capture.get(cv2.CAP_PROP_BACKEND) == cv2.CAP_V4L2
        compressed = on_v4l2 and int(capture.get(cv2.CAP_PROP_FOURCC)) == _MJPG
        self._decoder = MjpgDecoder() if compressed and capture.set(cv2.CAP_PROP_CONVERT_RGB, 0.0) else None
        self._capture = capture

    def read(self) -> Frame | None:
        """The next frame; blocks until the camera gives one (Video4Linux gives up after 10 s). Never None.

        Raises:
            SourceError: the camera is not open, was unplugged, or gives no pictures, or broken ones only for 2 s.
        """
        if self._capture is None:
            raise SourceError(f"{self.name} is not open.")
        image = self._picture(self._capture)
        frame = Frame(seq=self._seq, captured_at_s=self._clock(), image=image)
        self._seq += 1
        return frame

    def _picture(self, capture: Capture) -> Image:
        """The next picture that is whole."""
        began_s = self._clock()
        while True:
            given = read_picture(capture, self.name) if self._decoder is None else read_bytes(capture, self.name)
            if given is None:
                raise SourceError(
                    f"{self.name} gives no picture: it was unplugged, hangs, or another programme is using it.",
                    mend="check the cable and the USB power; `fuser -v` on the device tells who has it",
                )
            image = given if self._decoder is None else self._decoder.decode(given)
            if image is not None:
                return image
            if self._clock() - began_s > _CORRUPT_S:
                raise SourceError(
                    f"{self.name} gives broken pictures only: none of those of the last {_CORRUPT_S:g} s decodes.",
                    mend=_MEND_BROKEN,
                )

    def close(self) -> None:
        """Let go of the camera; its light goes out."""
        if self._capture is not None:
            self._capture.release()
        self._capture = self._decoder = None


def look_at(device: Path, name: str) -> None:
    """Tell what can be told of a device without opening it.

    Raises:
        SourceError: it is missing, or this user may not open it.
    """
    try:
        device.stat()
    except OSError as cause:
        raise device_error(name, cause) from cause
    if not os.access(device, os.R_OK | os.W_OK):
        raise device_error(name, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def device_error(name: str, cause: OSError) -> SourceError:
    """What an operating system's refusal means for a camera, and what mends it."""
    if cause.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return SourceError(
            f"{name} is not there: no camera is plugged in under that name.",
            mend="check the cable; `ls /dev/v4l/by-id` lists the cameras, --source auto takes the first that works",
        )
    if cause.errno in (errno.EACCES, errno.EPERM):
        return SourceError(
            f"{name} is there but this user may not open it.",
            mend="`sudo usermod -aG video $USER`, then log in anew (a service: SupplementaryGroups=video)",
        )
    if cause.errno == errno.EBUSY:
        return SourceError(f"{name} is in use by another programme.", mend=f"`fuser -v {name}` tells who has it")
    return SourceError(f"{name} does not open: {cause.strerror or cause}.", mend="unplug it and plug it in again")
