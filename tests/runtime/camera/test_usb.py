from __future__ import annotations

import errno
import os
from pathlib import Path

import cv2
import pytest
from made_pictures import write_video

from emomusic_edge.errors import SourceError
from emomusic_edge.runtime.camera import UsbCamera
from emomusic_edge.runtime.camera.discover import Capability
from emomusic_edge.runtime.camera.usb import device_error, device_path


@pytest.mark.parametrize(
    ("device", "path"),
    [
        ("0", "/dev/video0"),
        ("12", "/dev/video12"),
        ("/dev/video3", "/dev/video3"),
        ("usb-046d_HD_Pro_Webcam_C920-video-index0", "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920-video-index0"),
        ("/dev/v4l/by-id/usb-x", "/dev/v4l/by-id/usb-x"),
        ("clip.mp4", "clip.mp4"),
    ],
)
def test_where_a_camera_lives(device: str, path: str) -> None:
    assert device_path(device) == Path(path)


def test_a_missing_camera_says_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not there") as caught:
        UsbCamera(str(tmp_path / "video7")).open()
    assert "cable" in caught.value.mend


def test_a_forbidden_camera_is_told_apart_from_a_missing_one() -> None:
    error = device_error("/dev/video0", OSError(errno.EACCES, os.strerror(errno.EACCES)))
    assert "may not open it" in str(error)
    assert "video" in error.mend
    assert "usermod" in error.mend


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EIO, errno.ENODEV, errno.EPERM])
def test_every_refusal_names_the_device_and_what_mends_it(number: int) -> None:
    error = device_error("/dev/video0", OSError(number, os.strerror(number)))
    assert "/dev/video0" in str(error)
    assert error.mend


def test_what_is_no_video_device_is_said_to_be_none() -> None:
    with pytest.raises(SourceError, match="no video device"):
        UsbCamera("/dev/null").open()


def test_a_metadata_node_is_refused_by_name(tmp_path: Path) -> None:
    camera = UsbCamera(str(tmp_path), query=lambda _: Capability(card="C920", captures=False))
    with pytest.raises(SourceError, match=r"C920.*metadata"):
        camera.open()


def test_a_camera_that_another_programme_has(tmp_path: Path) -> None:
    camera = UsbCamera(
        str(tmp_path / "none"),
        query=lambda _: Capability(card="C920", captures=True),
        connect=lambda path: cv2.VideoCapture(path, cv2.CAP_FFMPEG),
    )
    with pytest.raises(SourceError, match="another programme"):
        camera.open()


def test_unplugged_in_the_middle_is_an_error_that_names_the_device(tmp_path: Path) -> None:
    device = write_video(tmp_path / "device.avi", frames=3)
    camera = UsbCamera(
        str(device),
        query=lambda _: Capability(card="C920", captures=True),
        connect=lambda path: cv2.VideoCapture(path, cv2.CAP_FFMPEG),
    )
    camera.open()
    for _ in range(3):
        camera.read()
    with pytest.raises(SourceError, match="unplugged") as caught:
        camera.read()
    assert str(device) in str(caught.value)
    assert "cable" in caught.value.mend


def test_a_link_is_followed_anew_at_each_opening(tmp_path: Path) -> None:
    opened = []

    def connect(path: str) -> cv2.VideoCapture:
        opened.append(Path(path).name)
        return cv2.VideoCapture(path, cv2.CAP_FFMPEG)

    link = tmp_path / "usb-camera"
    camera = UsbCamera(str(link), query=lambda _: Capability(card="C920", captures=True), connect=connect)
    for number in (0, 2):
        link.unlink(missing_ok=True)
        link.symlink_to(write_video(tmp_path / f"video{number}.avi", frames=3))
        camera.open()
    camera.close()
    assert opened == ["video0.avi", "video2.avi"]
