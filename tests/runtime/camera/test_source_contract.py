"""What every frame source does, the fake camera included: the fake may stand for a camera because it passes here."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_camera import FakeCamera
from file_camera import FileCamera, preload
from made_pictures import write_pictures, write_video

from emomusic_edge.contracts import FrameSource
from emomusic_edge.errors import SourceError
from emomusic_edge.runtime.camera import (
    CameraNode,
    ChildCamera,
    FollowedCamera,
    ImageFolder,
    UsbCamera,
    VideoFile,
)
from emomusic_edge.runtime.camera.child_camera import usb_camera
from emomusic_edge.runtime.camera.discover import Capability


def usb_over_video(folder: Path) -> UsbCamera:
    """The real camera class on a real OpenCV capture; only the device behind it is a file."""
    video = write_video(folder / "device.avi")
    return UsbCamera(
        str(video),
        query=lambda _: Capability(card="a camera", captures=True),
        connect=lambda path: cv2.VideoCapture(path, cv2.CAP_FFMPEG),
    )


def usb_in_child(folder: Path) -> ChildCamera:
    """The real camera class on the real Video4Linux backend, in a child; only the kernel's side is files."""
    camera = FileCamera(folder)
    # only children started from here on see it, and each test ends with its own
    os.environ["LD_PRELOAD"] = preload(camera)
    return usb_camera(str(camera.device), width_px=64, height_px=48, frames_per_second=30.0)


def followed(folder: Path) -> FollowedCamera:
    camera = usb_in_child(folder)
    node = CameraNode(Path(camera.name), None, "a camera")
    return FollowedCamera(None, lambda _: camera, lambda: [node])


SOURCES: dict[str, Callable[[Path], FrameSource]] = {
    "video, MJPG in AVI": lambda folder: VideoFile(write_video(folder / "clip.avi")),
    "video, MPEG-4 in MP4": lambda folder: VideoFile(write_video(folder / "clip.mp4", codec="mp4v")),
    "pictures": lambda folder: ImageFolder(write_pictures(folder / "pictures"), seconds_per_picture=0.05),
    "USB camera": usb_over_video,
    "fake camera": lambda folder: FakeCamera(),
    "fake camera in a child": lambda folder: ChildCamera("cameras_in_child:PacedCamera", {}, name="paced"),
    "USB camera in a child": usb_in_child,
    "followed camera": followed,
}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FrameSource]:
    monkeypatch.setenv("LD_PRELOAD", "")
    made = SOURCES[request.param](tmp_path)
    yield made
    made.close()


def test_frames_are_bgr_and_count_up_in_time(source: FrameSource) -> None:
    before_s = time.monotonic()
    source.open()
    frames = [source.read() for _ in range(10)]
    source.close()
    assert [frame.seq for frame in frames] == list(range(10))
    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert frame.image.shape == (48, 64, 3)
    times_s = [frame.captured_at_s for frame in frames]
    assert all(earlier <= later for earlier, later in itertools.pairwise(times_s))
    if source.live:
        assert before_s <= times_s[0]
        assert times_s[-1] <= time.monotonic()
    else:
        assert times_s == pytest.approx([0.05 * number for number in range(10)], abs=1e-6)


def test_a_frame_is_not_changed_by_the_next_one(source: FrameSource) -> None:
    source.open()
    first = source.read()
    kept = first.image.copy()
    source.read()
    source.close()
    np.testing.assert_array_equal(first.image, kept)


def test_reading_without_opening_is_an_error(source: FrameSource) -> None:
    with pytest.raises(SourceError):
        source.read()
    source.open()
    source.close()
    with pytest.raises(SourceError):
        source.read()


def test_close_is_harmless_at_any_time(source: FrameSource) -> None:
    source.close()
    source.open()
    source.close()
    source.close()


def test_it_opens_again_a_file_from_its_beginning(source: FrameSource) -> None:
    source.open()
    for _ in range(5):
        source.read()
    source.close()
    source.open()
    frame = source.read()
    source.close()
    assert frame.seq == (5 if source.live else 0)


def test_opening_twice_is_like_opening_once(source: FrameSource) -> None:
    source.open()
    source.read()
    source.open()
    assert source.read() is not None
    source.close()


def test_only_files_end(source: FrameSource) -> None:
    source.open()
    count = 0
    try:
        while count < 30 and source.read() is not None:
            count += 1
        ended = count < 30
        if ended:
            assert source.read() is None
    except SourceError:
        ended = False  # a camera that gives no more is broken, not at its end
    source.close()
    assert ended is not source.live
    assert not ended or count == 20


def test_it_has_a_name(source: FrameSource) -> None:
    assert source.name
