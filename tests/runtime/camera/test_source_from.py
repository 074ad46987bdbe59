from __future__ import annotations

import os
from pathlib import Path

import pytest
from made_pictures import write_pictures, write_video

from emomusic_edge.errors import SourceError
from emomusic_edge.runtime.camera import ChildCamera, FollowedCamera, ImageFolder, VideoFile, source_from


@pytest.mark.parametrize(
    ("spec", "name", "kind"),
    [
        ("7", "/dev/video7", FollowedCamera),
        ("/dev/video72", "/dev/video72", FollowedCamera),
        ("/dev/v4l/by-id/usb-C920-video-index0", "/dev/v4l/by-id/usb-C920-video-index0", ChildCamera),
        ("usb-C920-video-index0", "/dev/v4l/by-id/usb-C920-video-index0", ChildCamera),
    ],
)
def test_cameras_even_when_not_plugged_in_yet(spec: str, name: str, kind: type) -> None:
    """None is opened in this process; a number is followed, a name is the user's own."""
    source = source_from(spec)
    assert isinstance(source, kind)
    assert source.name == name


def test_auto_may_wait_for_a_camera_that_is_not_here_yet() -> None:
    source = source_from("auto", wait=True)
    assert isinstance(source, FollowedCamera)
    assert source.name == "the camera"


def test_files_and_folders_are_told_apart_by_what_they_are(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a file without suffix.avi").rename(tmp_path / "clip")
    folder = write_pictures(tmp_path / "folder.mp4", frames=3)
    assert isinstance(source_from(str(video)), VideoFile)
    assert isinstance(source_from(str(folder)), ImageFolder)
    assert isinstance(source_from(str(folder / "img0.png")), ImageFolder)


def test_a_single_picture_is_a_source_of_one_frame(tmp_path: Path) -> None:
    source = source_from(str(write_pictures(tmp_path, frames=3) / "img1.png"))
    source.open()
    assert source.read() is not None
    assert source.read() is None


def test_pictures_last_as_long_as_the_rate_says(tmp_path: Path) -> None:
    source = source_from(str(write_pictures(tmp_path, frames=2)), frames_per_second=4.0)
    source.open()
    assert [source.read().captured_at_s for _ in range(2)] == [0.0, 0.25]


@pytest.mark.parametrize("spec", ["rtsp://cam.lan/1", "http://192.0.2.1/video", "udp://@:5000", "file:///clip.mp4"])
def test_network_addresses_are_refused(spec: str) -> None:
    with pytest.raises(SourceError, match="offline by design"):
        source_from(spec)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(SourceError) as caught:
        source_from("rtsp://admin:secret@cam.lan/1")
    assert "secret" not in str(caught.value) + caught.value.mend


@pytest.mark.parametrize("spec", ["nothing-here.mp4", "./none", "Logitech", "-1"])
def test_what_is_not_there_is_named(spec: str) -> None:
    with pytest.raises(SourceError, match="is not here") as caught:
        source_from(spec)
    assert spec in str(caught.value)
    assert "auto" in caught.value.mend


def test_an_empty_source_is_not_the_current_folder() -> None:
    with pytest.raises(SourceError, match="empty"):
        source_from("")


def test_a_pipe_is_refused_before_anything_blocks_on_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a file, a folder nor a camera"):
        source_from(str(tmp_path / "pipe"))
