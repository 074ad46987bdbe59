"""Each fault of a camera, seeded: frames come again by themselves, and what is seen meanwhile is not believed.

The real capture, the real camera class in its child process and the real Video4Linux backend of OpenCV; only the
kernel's side is made (file_camera.c). The short run has short patience; `pytest -m faults -s` has the product's, twenty
times each, and prints the table of docs/reliability.md.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from file_camera import FileCamera, alive, preload

from emomusic_edge.contracts import Frame
from emomusic_edge.runtime.camera import ChildCamera, FollowedCamera, cameras
from emomusic_edge.runtime.camera.discover import Capability
from emomusic_edge.runtime.capture import LatestFrameCapture, PictureWatch

LONG_S = 60.0
"""A deadline that only a broken test reaches."""
GOAL_S = 5.0
REPETITIONS = 20


@dataclass(frozen=True)
class Patience:
    """How long is waited for what, in seconds."""

    retry_s: float
    open_s: float
    silence_s: float
    frozen_s: float
    black_told_s: float


SHORT = Patience(retry_s=0.1, open_s=3.0, silence_s=0.8, frozen_s=0.3, black_told_s=0.1)
PRODUCT = Patience(retry_s=2.0, open_s=4.0, silence_s=2.5, frozen_s=3.0, black_told_s=1.0)


class Rig:
    """A capture that runs on a camera of files, and a loop that takes its frames."""

    def __init__(self, camera: FileCamera, patience: Patience) -> None:
        self.camera = camera
        self.patience = patience
        self.children: list[ChildCamera] = []
        self.pids: set[int] = set()
        self.newest: Frame | None = None
        self.oldest_s = 0.0
        self._stop = threading.Event()
        source = FollowedCamera(None, self._make, lambda: cameras(camera.dev, lambda _: Capability("files", True)))
        self.feed = LatestFrameCapture(
            source,
            retry_s=patience.retry_s,
            watch=PictureWatch(frozen_s=patience.frozen_s, black_told_s=patience.black_told_s),
        )
        self._loop = threading.Thread(target=self._take)

    def _make(self, device: str) -> ChildCamera:
        child = ChildCamera(
            "emomusic_edge.runtime.camera.usb:UsbCamera",
            {"device": device},
            name=device,
            device=Path(device),
            open_s=self.patience.open_s,
            silence_s=self.patience.silence_s,
        )
        self.children.append(child)
        return child

    def _take(self) -> None:
        while not self._stop.is_set():
            if (frame := self.feed.next(0.05)) is not None:
                self.newest = frame
                self.oldest_s = max(self.oldest_s, time.monotonic() - frame.captured_at_s)

    def start(self) -> None:
        self.feed.start()
        self._loop.start()

    def stop(self) -> None:
        self._stop.set()
        self._loop.join()
        self.feed.close()
        assert eventually(lambda: self.camera.holders() == set())
        assert not any(map(alive, self.pids))

    @property
    def pid(self) -> int | None:
        return next((child.pid for child in self.children if child.pid is not None), None)

    def well(self, after_s: float) -> float:
        """Wait until a believed frame comes that was taken after `after_s`, and nothing is told; when that was."""

        def is_well() -> bool:
            newest = self.newest
            return newest is not None and newest.captured_at_s > after_s and not (self.feed.reason or self.feed.trouble)

        assert eventually(is_well), f"not well: {self.feed.reason!r} {self.feed.trouble!r}"
        at_s = time.monotonic()
        if self.pid is not None:
            self.pids.add(self.pid)
        return at_s

    def told(self, word: str) -> None:
        """Wait until the reason holds a word."""
        assert eventually(lambda: word in self.feed.reason), f"{word!r} is not in {self.feed.reason!r}"

    def gives_nothing(self, for_s: float) -> None:
        """No frame reaches the loop any more."""
        before = self.newest
        time.sleep(for_s)
        assert self.newest is before


def eventually(true: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + LONG_S
    while not true():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.005)
    return True


Strike = Callable[[Rig, random.Random], float]
"""Does a fault, undoes it where it does not end by itself, and tells the moment from which the recovery counts."""


def unplugged(rig: Rig, chance: random.Random, *, number: int | None = 0, named: bool = True) -> float:
    rig.camera.unplug()
    rig.told("No camera is here")
    time.sleep(chance.uniform(0.0, 0.5))
    cured_s = time.monotonic()
    rig.camera.plug_in(chance.randrange(1, 60) if number is None else number, named=named)
    return cured_s


def killed(rig: Rig, chance: random.Random) -> float:
    time.sleep(chance.uniform(0.0, 0.2))
    began_s = time.monotonic()
    os.kill(rig.pid, signal.SIGKILL)
    return began_s


def crashed(rig: Rig, chance: random.Random) -> float:
    child, began_s = rig.pid, time.monotonic()
    rig.camera.set("crash")
    assert eventually(lambda: not alive(child))
    rig.camera.play()
    return began_s


def blocked_read(rig: Rig, chance: random.Random) -> float:
    child, began_s = rig.pid, time.monotonic()
    rig.camera.set("hang")
    time.sleep(chance.uniform(0.1, 0.3))
    # whoever hangs by now hangs on
    rig.camera.play()
    assert eventually(lambda: not alive(child))
    return began_s


def blocked_open(rig: Rig, chance: random.Random) -> float:
    rig.camera.set("hang-open")
    child = rig.pid
    os.kill(child, signal.SIGKILL)
    assert eventually(lambda: rig.camera.holders() - {child} != set())
    began_s = time.monotonic()
    (hanging,) = rig.camera.holders() - {child}
    # it would hear that the camera works again, which a process that hangs in a driver does not
    os.kill(hanging, signal.SIGSTOP)
    rig.camera.play()
    assert eventually(lambda: not alive(hanging))
    return began_s


def frozen(rig: Rig, chance: random.Random) -> float:
    child, began_s = rig.pid, time.monotonic()
    rig.camera.play("still")
    time.sleep(chance.uniform(0.0, 0.1))
    assert eventually(lambda: "frozen" in rig.feed.reason or not alive(child))
    rig.camera.play()
    return began_s


def black(rig: Rig, chance: random.Random) -> float:
    rig.camera.play("black")
    rig.told("the picture is black")
    rig.gives_nothing(chance.uniform(0.1, 0.3))
    cured_s = time.monotonic()
    rig.camera.play()
    return cured_s


def corrupt(rig: Rig, chance: random.Random) -> float:
    rig.camera.play("junk")
    rig.told("broken pictures only")
    rig.gives_nothing(chance.uniform(0.1, 0.3))
    cured_s = time.monotonic()
    rig.camera.play()
    return cured_s


def mostly_cut(rig: Rig, chance: random.Random) -> float:
    rig.camera.play("cut")
    assert eventually(lambda: "broken and passed over" in rig.feed.trouble)
    before_s = time.monotonic()
    # the whole ones between them are given all the same
    assert eventually(lambda: rig.newest.captured_at_s > before_s)
    assert rig.feed.reason == ""
    cured_s = time.monotonic()
    rig.camera.play()
    return cured_s


def slow(rig: Rig, chance: random.Random) -> float:
    rig.camera.play(period_ms=500)
    time.sleep(1.0)
    child, dropped = rig.pid, rig.feed.dropped
    rig.oldest_s = 0.0
    first = rig.newest.seq
    assert eventually(lambda: rig.newest.seq >= first + 3)
    # nothing waits in a queue, and nobody takes slowness for a fault
    assert rig.feed.dropped == dropped
    assert rig.pid == child
    assert rig.feed.reason == ""
    assert rig.oldest_s < 0.5
    rig.camera.play()
    return time.monotonic()


KINDS: dict[str, Strike] = {
    "unplugged": unplugged,
    "back under another number": partial(unplugged, number=None),
    "back under another number, without a name": partial(unplugged, number=None, named=False),
    "process killed": killed,
    "decoder crashed": crashed,
    "read blocked": blocked_read,
    "opening blocked": blocked_open,
    "picture frozen": frozen,
    "picture black": black,
    "pictures corrupt": corrupt,
    "most pictures cut": mostly_cut,
    "two pictures a second": slow,
}


@pytest.fixture(scope="module")
def of_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileCamera]:
    camera = FileCamera(tmp_path_factory.mktemp("camera"))
    for make in (camera.make_still, camera.make_black, camera.make_junk, camera.make_cut):
        make()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", preload(camera))
        yield camera


def missing_at_boot(camera: FileCamera, patience: Patience, chance: random.Random) -> float:
    camera.unplug()
    rig = Rig(camera, patience)
    rig.start()
    try:
        rig.told("No camera is here")
        time.sleep(chance.uniform(0.0, 0.5))
        cured_s = time.monotonic()
        camera.plug_in()
        return rig.well(cured_s) - cured_s
    finally:
        rig.stop()


def strike_again_and_again(camera: FileCamera, patience: Patience, kind: str, times: int) -> list[float]:
    """The recoveries, in seconds."""
    camera.replug(0)
    rig = Rig(camera, patience)
    rig.start()
    try:
        rig.well(0.0)
        recoveries = []
        for number in range(times):
            from_s = KINDS[kind](rig, random.Random(f"{kind} {number}"))
            recoveries.append(rig.well(time.monotonic()) - from_s)
            assert camera.holders() == {rig.pid}
        return recoveries
    finally:
        rig.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_frames_come_again_by_themselves(of_files: FileCamera, kind: str) -> None:
    strike_again_and_again(of_files, SHORT, kind, times=1)


def test_a_camera_missing_at_boot_is_taken_when_it_comes(of_files: FileCamera) -> None:
    missing_at_boot(of_files, SHORT, random.Random("boot"))


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", [*KINDS, "missing at boot"])
def test_twenty_times_with_the_patience_of_the_product(of_files: FileCamera, kind: str) -> None:
    if kind in KINDS:
        recoveries = strike_again_and_again(of_files, PRODUCT, kind, REPETITIONS)
    else:
        recoveries = []
        for number in range(REPETITIONS):
            of_files.replug(0)
            recoveries.append(missing_at_boot(of_files, PRODUCT, random.Random(f"{kind} {number}")))
    p95_s = sorted(recoveries)[-(-95 * len(recoveries) // 100) - 1]
    print(f"\n| {kind} | {len(recoveries)} | {statistics.median(recoveries):.1f} | {p95_s:.1f} |")  # noqa: T201
    assert p95_s <= GOAL_S


@pytest.mark.parametrize("state", ["room", "slow", "hang", "hang-open", "black"])
def test_pause_leaves_nobody_with_the_camera_whatever_it_does(of_files: FileCamera, state: str) -> None:
    of_files.replug(0)
    rig = Rig(of_files, PRODUCT)
    if state == "hang-open":
        of_files.set("hang-open")
    rig.start()
    try:
        if state == "hang-open":
            assert eventually(lambda: of_files.holders() != set())
        else:
            rig.well(0.0)
        {
            "room": of_files.play,
            "slow": partial(of_files.play, period_ms=5000),
            "hang": partial(of_files.set, "hang"),
            "hang-open": bool,
            "black": partial(of_files.play, "black"),
        }[state]()
        time.sleep(0.2)
        paused_s = time.monotonic()
        rig.feed.pause()
        assert eventually(lambda: of_files.holders() == set())
        # the promise is one second; a busy machine may look late, but not at a camera that waits for its own time-out
        assert time.monotonic() - paused_s < 2.0
        assert rig.feed.reason == ""
        of_files.play()
        time.sleep(0.3)
        assert of_files.holders() == set()
        rig.feed.resume()
        rig.well(time.monotonic())
    finally:
        rig.stop()


def test_pause_and_resume_at_once_again_and_again_ends_with_a_camera(of_files: FileCamera) -> None:
    of_files.replug(0)
    rig = Rig(of_files, PRODUCT)
    rig.start()
    chance = random.Random("pauses")
    try:
        for _ in range(20):
            rig.feed.pause()
            time.sleep(chance.choice((0.0, 0.001, 0.05)))
            rig.feed.resume()
            time.sleep(chance.uniform(0.0, 0.3))
        rig.well(time.monotonic())
        assert of_files.holders() == {rig.pid}
    finally:
        rig.stop()
