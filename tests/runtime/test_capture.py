from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from fake_camera import FakeCamera, picture
from hypothesis import given
from hypothesis import strategies as st
from made_pictures import write_pictures, write_video

from emomusic_edge.contracts import Frame
from emomusic_edge.errors import ConfigError, SourceError
from emomusic_edge.runtime.camera import ImageFolder, VideoFile
from emomusic_edge.runtime.capture import FastFrames, FrameFeed, LatestFrameCapture, PictureWatch

LONG_S = 30.0
"""A deadline that only a broken test reaches."""


def eventually(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.002)


@contextmanager
def running(feed: FrameFeed) -> Iterator[None]:
    feed.start()
    try:
        yield
    finally:
        feed.close()


class ListSource:
    """Frames at given times of their own, like a file."""

    live = False
    name = "frames"

    def __init__(self, times_s: list[float], breaks_off: bool = False) -> None:
        self._times_s = times_s
        self._breaks_off = breaks_off
        self._next = 0
        self.closed = False

    def open(self) -> None:
        self._next = 0

    def read(self) -> Frame | None:
        if self._next == len(self._times_s):
            if self._breaks_off:
                raise SourceError("frames break off")
            return None
        self._next += 1
        return Frame(self._next - 1, self._times_s[self._next - 1], picture(self._next))

    def close(self) -> None:
        self.closed = True


# A camera in real time


def test_the_newest_frame_is_given_and_the_overtaken_are_counted() -> None:
    camera = FakeCamera(on_demand=True)
    capture = LatestFrameCapture(camera)
    with running(capture):
        camera.shoot(5)
        eventually(lambda: capture.dropped == 4)
        assert capture.next(LONG_S).seq == 4
        assert capture.next(0.01) is None
        camera.shoot()
        assert capture.next(LONG_S).seq == 5
        assert capture.dropped == 4
        assert not capture.ended


def test_only_one_thread_touches_the_source() -> None:
    camera = FakeCamera()
    capture = LatestFrameCapture(camera, retry_s=0.01)
    with running(capture):
        capture.next(LONG_S)
        camera.fail()
        eventually(lambda: camera.opens == 2)
        capture.pause()
        eventually(lambda: not camera.is_open)
        capture.resume()
        capture.next(LONG_S)
    assert len(camera.threads) == 1
    assert threading.get_ident() not in camera.threads


def test_a_camera_that_comes_late_is_no_error() -> None:
    camera = FakeCamera()
    camera.unplug()
    capture = LatestFrameCapture(camera, retry_s=0.01)
    with running(capture):
        eventually(lambda: "is not there" in capture.reason)
        assert "plug it in" in capture.reason
        assert capture.next(0.01) is None
        assert not capture.ended
        camera.plug_in()
        assert capture.next(LONG_S) is not None
        assert capture.reason == ""


def test_an_unplugged_camera_is_told_closed_and_opened_again() -> None:
    camera = FakeCamera()
    capture = LatestFrameCapture(camera, retry_s=0.01)
    with running(capture):
        before = capture.next(LONG_S)
        camera.unplug()
        eventually(lambda: capture.reason != "")
        eventually(lambda: not camera.is_open)
        camera.plug_in()
        eventually(lambda: capture.reason == "")
        after = capture.next(LONG_S)
        assert after.seq > before.seq
        assert camera.opens == 2


def test_between_attempts_it_waits_for_retry_s() -> None:
    camera = FakeCamera()
    camera.unplug()
    attempts: list[float] = []
    real_open = camera.open
    camera.open = lambda: (attempts.append(time.monotonic()), real_open())
    retry_s = 0.05
    capture = LatestFrameCapture(camera, retry_s=retry_s)
    with running(capture):
        eventually(lambda: len(attempts) >= 4)
    # the capture counts from just before each attempt, the list from within it
    assert min(later - earlier for earlier, later in itertools.pairwise(attempts)) >= 0.9 * retry_s


def test_a_hanging_camera_is_told_and_does_not_hold_up_close() -> None:
    camera = FakeCamera()
    capture = LatestFrameCapture(camera, stall_s=0.05)
    capture.start()
    capture.next(LONG_S)
    assert camera.hang().wait(LONG_S)
    eventually(lambda: "no picture for over" in capture.reason)
    closed = threading.Thread(target=capture.close)
    closed.start()
    closed.join(LONG_S)
    assert not closed.is_alive()
    assert capture.ended
    assert capture.next(LONG_S) is None
    camera.release()


def test_pause_closes_the_camera_and_resume_opens_it() -> None:
    camera = FakeCamera()
    capture = LatestFrameCapture(camera)
    with running(capture):
        capture.next(LONG_S)
        capture.pause()
        eventually(lambda: not camera.is_open)
        assert capture.next(0.02) is None
        assert capture.reason == ""
        assert not capture.ended
        capture.resume()
        assert capture.next(LONG_S) is not None
        assert camera.opens == 2


def test_no_frame_from_before_a_pause_comes_out_after_it() -> None:
    camera = FakeCamera(on_demand=True)
    capture = LatestFrameCapture(camera)
    with running(capture):
        camera.shoot()
        eventually(lambda: capture._slot is not None)
        capture.pause()
        # the camera still delivers what it was asked for; nobody wants it now
        camera.shoot()
        eventually(lambda: not camera.is_open)
        capture.resume()
        eventually(lambda: camera.is_open)
        assert capture.next(0.02) is None
        camera.shoot()
        assert capture.next(LONG_S).seq == 2


def test_pausing_a_camera_that_is_not_there_ends_the_complaint() -> None:
    camera = FakeCamera()
    camera.unplug()
    capture = LatestFrameCapture(camera, retry_s=LONG_S)
    with running(capture):
        eventually(lambda: capture.reason != "")
        capture.pause()
        assert capture.reason == ""
        camera.plug_in()
        capture.resume()
        # it does not sit out the rest of retry_s
        assert capture.next(LONG_S / 2) is not None


def test_close_lets_go_of_the_camera_and_wakes_who_waits() -> None:
    camera = FakeCamera(on_demand=True)
    capture = LatestFrameCapture(camera)
    capture.start()
    eventually(lambda: camera.is_open)
    given_: list[Frame | None] = []
    waiting = threading.Thread(target=lambda: given_.append(capture.next(LONG_S * 10)))
    waiting.start()
    camera.unplug()  # so that the read ends
    capture.close()
    waiting.join(LONG_S)
    assert given_ == [None]
    eventually(lambda: not camera.is_open)


def test_close_is_harmless_without_start_and_twice() -> None:
    capture = LatestFrameCapture(FakeCamera())
    capture.close()
    capture.close()
    assert capture.ended


def test_a_bug_in_a_camera_is_told_and_the_camera_is_opened_anew() -> None:
    """A camera is left on for months: the music must not end with it, and the next attempt may work."""
    camera = FakeCamera(make=lambda number: picture(number) if number != 1 else 1 // 0)  # type: ignore[arg-type]
    capture = LatestFrameCapture(camera, retry_s=0.3)
    with running(capture):
        assert capture.next(LONG_S) is not None
        eventually(lambda: "ZeroDivisionError" in capture.reason)
        assert not capture.ended
        while (frame := capture.next(LONG_S)) is None or frame.seq < 2:
            pass
        assert camera.opens == 2
        assert not capture.reason


class BrokenFile(FakeCamera):
    live = False


def test_a_bug_in_a_file_reaches_the_loop() -> None:
    capture = LatestFrameCapture(BrokenFile(make=lambda number: 1 // 0))  # type: ignore[arg-type]
    with running(capture), pytest.raises(ZeroDivisionError):
        capture.next(LONG_S)


class Held(FakeCamera):
    """Its blocking read can be ended from another thread."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupted = False

    def interrupt(self) -> None:
        self.interrupted = True
        self.release()

    def allow(self) -> None:
        self.interrupted = False

    def open(self) -> None:
        self._refuse()
        super().open()

    def read(self) -> Frame | None:
        frame = super().read()
        self._refuse()
        return frame

    def _refuse(self) -> None:
        if self.interrupted:
            raise SourceError("it is closed")


def test_a_pause_ends_a_read_that_blocks_and_is_no_failure() -> None:
    camera = Held()
    capture = LatestFrameCapture(camera, retry_s=LONG_S)
    with running(capture):
        capture.next(LONG_S)
        assert camera.hang().wait(LONG_S)
        capture.pause()
        eventually(lambda: not camera.is_open)
        assert capture.reason == ""
        capture.resume()
        assert capture.next(LONG_S / 2) is not None
        assert capture.reason == ""


def test_a_pause_that_is_over_at_once_does_not_leave_the_camera_closed() -> None:
    camera = Held()
    capture = LatestFrameCapture(camera, retry_s=LONG_S)
    with running(capture):
        capture.next(LONG_S)
        for _ in range(200):
            capture.pause()
            capture.resume()
        assert capture.next(LONG_S / 2) is not None
        assert capture.reason == ""


def test_close_ends_a_read_that_blocks() -> None:
    camera = Held()
    capture = LatestFrameCapture(camera)
    capture.start()
    capture.next(LONG_S)
    assert camera.hang().wait(LONG_S)
    capture.close()
    assert not camera.is_open


def test_a_camera_that_ran_longer_than_retry_s_is_tried_again_at_once() -> None:
    camera = FakeCamera(on_demand=True)
    now_s = [100.0]
    capture = LatestFrameCapture(camera, retry_s=1e6, clock=lambda: now_s[0])
    with running(capture):
        camera.shoot()
        assert capture.next(LONG_S).seq == 0
        now_s[0] += 2e6
        camera.fail()
        camera.shoot(2)
        assert capture.next(LONG_S).seq == 1
    assert camera.opens == 2


def test_pictures_that_are_not_believed_are_not_given_and_the_reason_is_told() -> None:
    black = picture(0)
    room = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
    shown = [room]
    camera = FakeCamera(on_demand=True, make=lambda number: shown[0] + np.uint8(number % 2))
    capture = LatestFrameCapture(camera, watch=PictureWatch(black_told_s=0.0))
    with running(capture):
        camera.shoot()
        assert capture.next(LONG_S).seq == 0
        shown[0] = black
        camera.shoot(3)
        eventually(lambda: "the picture is black" in capture.reason)
        assert capture.next(0.02) is None
        assert capture.dropped == 0
        shown[0] = room
        camera.shoot(4)
        assert capture.next(LONG_S) is not None
        assert capture.reason == ""
        assert camera.opens == 1


def test_a_frozen_camera_is_opened_anew_and_what_it_shows_is_forgotten() -> None:
    room = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
    now_s = [100.0]
    camera = FakeCamera(on_demand=True, make=lambda number: room)
    capture = LatestFrameCapture(camera, retry_s=1e-3, clock=lambda: now_s[0], watch=PictureWatch(frozen_s=3.0))
    with running(capture):
        camera.shoot()
        assert capture.next(LONG_S) is not None
        for seq in (1, 2):
            now_s[0] += 1.0
            camera.shoot()
            assert capture.next(LONG_S).seq == seq
        now_s[0] += 1.0
        camera.shoot()
        eventually(lambda: camera.opens == 2)
        camera.shoot()
        assert "frozen" in capture.reason
        assert capture.next(0.02) is None
        capture.pause()
        camera.shoot()
        eventually(lambda: not camera.is_open)
        capture.resume()
        camera.shoot(3)
        # after a pause nothing is known of the picture
        assert capture.next(LONG_S) is not None


def test_trouble_of_the_camera_is_passed_on() -> None:
    camera = FakeCamera()
    assert LatestFrameCapture(camera).trouble == ""
    camera.trouble = "most pictures are broken"
    assert LatestFrameCapture(camera).trouble == "most pictures are broken"


# A file in real time


def taken(feed: FrameFeed) -> list[Frame]:
    frames = []
    while not feed.ended:
        if (frame := feed.next(LONG_S)) is not None:
            frames.append(frame)
    return frames


def test_a_file_is_stamped_on_the_clock_with_its_own_steps_and_ends(tmp_path: Path) -> None:
    source = ImageFolder(write_pictures(tmp_path, frames=8), seconds_per_picture=0.03)
    capture = LatestFrameCapture(source, pace=True)
    before_s = time.monotonic()
    with running(capture):
        frames = []
        while not capture.ended:
            if (frame := capture.next(LONG_S)) is not None:
                # never before its time
                assert frame.captured_at_s <= time.monotonic()
                frames.append(frame)
    assert len(frames) + capture.dropped == 8
    start_s = frames[0].captured_at_s - 0.03 * frames[0].seq
    assert start_s >= before_s
    assert [frame.captured_at_s - start_s for frame in frames] == pytest.approx(
        [0.03 * frame.seq for frame in frames], abs=1e-6
    )


def test_the_last_frame_is_given_before_the_end_is_told(tmp_path: Path) -> None:
    capture = LatestFrameCapture(VideoFile(write_video(tmp_path / "clip.avi", frames=5)), pace=False)
    with running(capture):
        eventually(lambda: capture.dropped == 4)
        eventually(lambda: not capture._thread.is_alive())
        assert not capture.ended
        assert capture.next(0.0).seq == 4
        assert capture.ended
        assert capture.next(LONG_S) is None


def test_a_file_that_does_not_open_says_so_at_start(tmp_path: Path) -> None:
    capture = LatestFrameCapture(VideoFile(tmp_path / "none.mp4"))
    with pytest.raises(SourceError, match="No such file"):
        capture.start()
    capture.close()


@pytest.mark.parametrize("make", [LatestFrameCapture, lambda source: FastFrames(source, 1000.0)])
def test_a_file_that_breaks_off_gives_its_frames_then_the_error_then_nothing(make: Callable) -> None:
    source = ListSource([0.0], breaks_off=True)
    feed = make(source)
    feed.start()
    assert feed.next(LONG_S).seq == 0
    with pytest.raises(SourceError, match="break off"):
        feed.next(LONG_S)
    assert feed.ended
    assert feed.reason == "frames break off"
    feed.close()
    assert feed.next(0.0) is None
    assert source.closed


def test_a_paused_file_stands_still_and_goes_on_where_it_stood(tmp_path: Path) -> None:
    source = ImageFolder(write_pictures(tmp_path, frames=4), seconds_per_picture=0.02)
    capture = LatestFrameCapture(source)
    with running(capture):
        first = capture.next(LONG_S)
        capture.pause()
        assert capture.next(0.1) is None
        capture.resume()
        rest = taken(capture)
    assert rest[-1].seq == 3
    # the pause of at least 0.1 s lies between them, on top of the file's own time
    assert rest[-1].captured_at_s - first.captured_at_s >= 0.1 + 0.02 * (3 - first.seq) - 1e-6


def test_a_file_slower_than_real_time_is_played_slower_not_ever_later() -> None:
    now_s = itertools.count(100.0, 2.5)
    # each look at the clock finds 2.5 s gone, each frame lasts 0.1 s
    capture = LatestFrameCapture(ListSource([0.1 * number for number in range(6)]), clock=lambda: float(next(now_s)))
    stamps: list[float] = []
    offer = capture._offer
    capture._offer = lambda frame: (stamps.append(frame.captured_at_s), offer(frame))[1]
    with running(capture):
        eventually(lambda: capture._finished)
    assert len(stamps) == 6
    assert min(later - earlier for earlier, later in itertools.pairwise(stamps)) >= 2.0


# As fast as it goes


def test_fast_frames_take_the_first_at_or_after_each_tick(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "clip.avi", frames=48, frames_per_second=24.0))
    feed = FastFrames(video, 10.0)
    with running(feed):
        frames = list(feed)
        assert feed.ended
    assert [frame.seq for frame in frames[:6]] == [0, 3, 5, 8, 10, 12]
    assert len(frames) == 20
    assert len(frames) + feed.dropped == 48


@given(
    st.lists(st.floats(0.001, 0.5), min_size=1, max_size=60),
    st.floats(1.0, 60.0),
)
def test_fast_frames_are_one_a_tick_at_most_and_none_is_left_empty(steps_s: list[float], rate: float) -> None:
    times_s = list(itertools.accumulate(steps_s, initial=0.0))
    feed = FastFrames(ListSource(times_s), rate)
    feed.start()
    given_ = [frame.captured_at_s for frame in feed]
    ticks = [int((t_s + 1e-6) * rate) for t_s in given_]
    assert ticks == sorted(set(ticks))
    # every tick's window in which the source has a frame has one given
    assert set(ticks) == {int((t_s + 1e-6) * rate) for t_s in times_s}


def test_a_rate_above_the_files_gives_every_frame(tmp_path: Path) -> None:
    feed = FastFrames(ImageFolder(write_pictures(tmp_path, frames=7), seconds_per_picture=0.1), 10.0)
    feed.start()
    assert [frame.seq for frame in feed] == list(range(7))
    assert feed.dropped == 0


def test_fast_frames_pause(tmp_path: Path) -> None:
    feed = FastFrames(ImageFolder(write_pictures(tmp_path, frames=3)), 10.0)
    feed.start()
    assert feed.next(0.0).seq == 0
    feed.pause()
    assert feed.next(0.01) is None
    assert not feed.ended
    feed.resume()
    assert feed.next(0.0).seq == 1


def test_a_camera_cannot_be_hurried() -> None:
    with pytest.raises(ConfigError, match="--fast"):
        FastFrames(FakeCamera(), 10.0)
