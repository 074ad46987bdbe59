"""A looped file is one endless file: pictures repeat, numbers and time go on."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_camera import FakeCamera
from hypothesis import given
from hypothesis import strategies as st
from made_pictures import number_of, write_pictures, write_video

from emomusic_edge.contracts import Frame, FrameSource
from emomusic_edge.errors import ConfigError, SourceError
from emomusic_edge.runtime.camera import ImageFolder, VideoFile
from emomusic_edge.runtime.camera.looped import LoopedSource
from emomusic_edge.runtime.capture import FastFrames

FILES: dict[str, Callable[[Path], FrameSource]] = {
    "video": lambda folder: VideoFile(write_video(folder / "clip.avi", frames=15, frames_per_second=24.0)),
    "pictures": lambda folder: ImageFolder(write_pictures(folder / "pictures"), seconds_per_picture=0.05),
}


def some(source: FrameSource, count: int) -> list[Frame]:
    frames = [source.read() for _ in range(count)]
    assert None not in frames
    return [frame for frame in frames if frame is not None]


@pytest.mark.parametrize("kind", FILES)
def test_pictures_repeat_and_time_goes_on_at_the_same_rate(kind: str, tmp_path: Path) -> None:
    plain = FILES[kind](tmp_path)
    plain.open()
    once = list(iter(plain.read, None))
    plain.close()
    looped = LoopedSource(plain, frame_s=1.0)
    looped.open()
    frames = some(looped, 3 * len(once) + 2)
    looped.close()
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    numbers = [number_of(frame.image) for frame in once]
    assert [number_of(frame.image) for frame in frames] == [numbers[i % len(once)] for i in range(len(frames))]
    steps_s = [later.captured_at_s - earlier.captured_at_s for earlier, later in itertools.pairwise(frames)]
    assert steps_s == pytest.approx([once[1].captured_at_s - once[0].captured_at_s] * len(steps_s), abs=1e-3)


class Listed:
    """Frames at given times."""

    name, live = "listed", False

    def __init__(self, times_s: list[float], image) -> None:
        self._times_s, self._image = times_s, image

    def open(self) -> None:
        self._left = iter(enumerate(self._times_s))

    def read(self) -> Frame | None:
        item = next(self._left, None)
        return None if item is None else Frame(seq=item[0], captured_at_s=item[1], image=self._image)

    def close(self) -> None:
        pass


@given(
    start_s=st.floats(0, 100),
    steps_s=st.lists(st.floats(0.001, 2.0), max_size=6),
    passes=st.integers(1, 4),
)
def test_time_never_stands_still_or_goes_back(start_s: float, steps_s: list[float], passes: int) -> None:
    times_s = list(itertools.accumulate(steps_s, initial=start_s))
    looped = LoopedSource(Listed(times_s, None), frame_s=0.04)
    looped.open()
    got = [frame.captured_at_s for frame in some(looped, passes * len(times_s) + 1)]
    assert got[: len(times_s)] == times_s
    assert all(earlier < later for earlier, later in itertools.pairwise(got))
    own = [later - earlier for earlier, later in itertools.pairwise(times_s)]
    again = [later - earlier for earlier, later in itertools.pairwise(got[len(times_s) :][: len(times_s)])]
    assert again == pytest.approx(own[: len(again)], abs=1e-9)


def test_opening_it_again_begins_anew(tmp_path: Path) -> None:
    looped = LoopedSource(FILES["video"](tmp_path), frame_s=1.0)
    for _ in range(2):
        looped.open()
        frames = some(looped, 20)
        assert (frames[0].seq, frames[0].captured_at_s) == (0, 0.0)
    looped.close()


def test_a_file_without_a_frame_ends() -> None:
    looped = LoopedSource(Listed([], None), frame_s=1.0)
    looped.open()
    assert looped.read() is None


def test_a_file_that_vanishes_is_told(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.avi", frames=3)
    looped = LoopedSource(VideoFile(video), frame_s=1.0)
    looped.open()
    some(looped, 3)
    video.unlink()
    with pytest.raises(SourceError, match=r"clip\.avi cannot be read"):
        looped.read()


def test_no_descriptor_is_left_behind(tmp_path: Path) -> None:
    looped = LoopedSource(FILES["video"](tmp_path), frame_s=1.0)
    looped.open()
    some(looped, 16)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
    some(looped, 150)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    looped.close()


def test_fast_frames_of_a_looped_file_keep_their_rate(tmp_path: Path) -> None:
    looped = LoopedSource(FILES["video"](tmp_path), frame_s=1.0)
    feed = FastFrames(looped, frames_per_second=8.0)
    feed.start()
    times_s = [frame.captured_at_s for frame in itertools.islice(feed, 100)]
    feed.close()
    assert times_s == pytest.approx([number / 8.0 for number in range(100)], abs=1e-2)


def test_a_camera_never_ends() -> None:
    with pytest.raises(ConfigError, match="is a camera and never ends"):
        LoopedSource(FakeCamera(), frame_s=1.0)
