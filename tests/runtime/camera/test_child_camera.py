from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from file_camera import FileCamera, alive, preload

from emomusic_edge.errors import SourceError
from emomusic_edge.runtime.camera import ChildCamera
from emomusic_edge.runtime.camera.child_camera import usb_camera

LONG_S = 30.0
"""A deadline that only a broken test reaches."""


def eventually(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileCamera:
    camera = FileCamera(tmp_path)
    monkeypatch.setenv("LD_PRELOAD", preload(camera))
    return camera


@pytest.fixture
def usb(of_files: FileCamera) -> Iterator[ChildCamera]:
    camera = usb_camera(str(of_files.device), width_px=64, height_px=48, frames_per_second=30.0)
    yield camera
    camera.close()


def fake(what: str = "PacedCamera", arguments: dict[str, object] | None = None, **settings: float) -> ChildCamera:
    return ChildCamera(f"cameras_in_child:{what}", arguments or {}, name=what, **settings)


def read_on(camera: ChildCamera) -> None:
    while True:
        camera.read()


def test_only_the_child_holds_the_device_and_close_ends_it(of_files: FileCamera, usb: ChildCamera) -> None:
    usb.open()
    assert usb.read() is not None
    child = usb.pid
    assert of_files.holders() == {child}
    usb.close()
    assert of_files.holders() == set()
    assert not alive(child)
    assert usb.pid is None


def test_the_processor_time_of_all_children_is_added_up() -> None:
    """The oracle is the kernel's count of children that were waited for."""
    before = os.times()
    camera = fake("Busy")
    try:
        assert camera.cpu_s() == 0.0
        used_s = []
        for _ in range(2):
            camera.open()
            for _ in range(20):
                camera.read()
            used_s.append(camera.cpu_s())
            camera.close()
            used_s.append(camera.cpu_s())
    finally:
        camera.close()
    after = os.times()
    assert used_s == sorted(used_s)
    # 20 pictures cost 0.2 s in each
    assert used_s[0] >= 0.19
    assert used_s[2] - used_s[1] >= 0.19
    waited_s = after.children_user + after.children_system - before.children_user - before.children_system
    assert used_s[-1] == pytest.approx(waited_s, abs=0.1)


def test_pictures_touch_no_file(of_files: FileCamera, usb: ChildCamera) -> None:
    usb.open()
    usb.read()
    opened = {link.readlink() for link in Path(f"/proc/{usb.pid}/fd").iterdir()}
    on_disk = {target for target in opened if target.is_absolute() and not str(target).startswith("/memfd:")}
    assert on_disk == {Path("/dev/null"), of_files.device}
    # a name in /dev/shm would outlive a crash
    assert "/dev/shm" not in Path(f"/proc/{usb.pid}/maps").read_text()


def test_a_crash_of_the_child_leaves_no_core(usb: ChildCamera) -> None:
    usb.open()
    limits = Path(f"/proc/{usb.pid}/limits").read_text()
    soft, hard = next(line for line in limits.splitlines() if line.startswith("Max core file size")).split()[4:6]
    assert int(soft) <= 1
    assert int(hard) <= 1


def test_the_child_ends_with_a_parent_that_is_killed(of_files: FileCamera, usb: ChildCamera, tmp_path: Path) -> None:
    # hanging in a read, where no end of a socket would be noticed
    code = (
        "import sys, time\n"
        "from emomusic_edge.runtime.camera.child_camera import usb_camera\n"
        "camera = usb_camera(sys.argv[1], width_px=64, height_px=48, frames_per_second=30.0)\n"
        "camera.open(); camera.read(); print(camera.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(of_files.device)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    of_files.set("hang")
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: not alive(child))
    assert of_files.holders() == set()


def test_a_read_that_blocks_is_ended_and_the_camera_opens_again(of_files: FileCamera, usb: ChildCamera) -> None:
    usb._silence_s = 0.3
    usb.open()
    usb.read()
    child = usb.pid
    of_files.set("hang")
    with pytest.raises(SourceError, match=r"gave no picture for 0\.3 s: it hangs"):
        read_on(usb)
    assert not alive(child)
    assert of_files.holders() == set()
    of_files.play()
    usb.open()
    assert usb.read() is not None


def test_an_opening_that_blocks_is_ended(of_files: FileCamera, usb: ChildCamera) -> None:
    usb._next_open_s = 1.5
    of_files.set("hang-open")
    for patience in (r"1\.5 s", "4 s"):
        # more patience the second time
        with pytest.raises(SourceError, match=f"did not open within {patience}"):
            usb.open()
        assert of_files.holders() == set()
        usb._open_s = 1.0
    of_files.play()
    usb.open()
    usb.read()
    assert usb._next_open_s == 1.0


def test_a_child_that_heeds_no_signal_but_the_last_is_killed() -> None:
    camera = fake("Deaf", open_s=2.0)
    camera.open()
    child = camera.pid
    with pytest.raises(SourceError, match="hangs"):
        camera.read()
    assert not alive(child)


def test_another_thread_can_end_a_read_that_blocks(of_files: FileCamera, usb: ChildCamera) -> None:
    usb.open()
    usb.read()
    of_files.set("hang")
    told: list[str] = []

    def read() -> None:
        try:
            read_on(usb)
        except SourceError as cause:
            told.append(str(cause))

    usb._silence_s = LONG_S
    reading = threading.Thread(target=read)
    reading.start()
    time.sleep(0.1)
    usb.interrupt()
    reading.join(LONG_S)
    assert told == [f"{of_files.device} is closed."]
    assert of_files.holders() == set()
    with pytest.raises(SourceError, match="is closed"):
        usb.open()
    of_files.play()
    usb.allow()
    usb.open()
    assert usb.read() is not None


@pytest.mark.parametrize(
    ("how", "told"),
    [(-signal.SIGSEGV, "crashed: Segmentation fault"), (-signal.SIGKILL, "short of memory"), (3, "exit code 3")],
)
def test_a_child_that_dies_is_told_with_its_reason(how: int, told: str) -> None:
    camera = fake("Dies", {"how": how})
    camera.open()
    with pytest.raises(SourceError, match=told):
        camera.read()
    assert camera.pid is None


def test_what_the_camera_says_reaches_the_parent_with_what_mends_it() -> None:
    with pytest.raises(SourceError, match="it is not here") as caught:
        fake("NotHere").open()
    assert caught.value.mend == "plug it in"


def test_a_bug_in_the_child_is_told_shortened() -> None:
    camera = fake("Breaks")
    camera.open()
    with pytest.raises(SourceError, match="RuntimeError: xxx") as caught:
        camera.read()
    assert len(str(caught.value)) < 2000


def test_a_source_that_is_not_there_is_told() -> None:
    with pytest.raises(SourceError, match="AttributeError"):
        fake("Nothing").open()


def test_a_missing_or_forbidden_device_starts_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    camera = usb_camera(str(tmp_path / "video7"), width_px=64, height_px=48, frames_per_second=30.0)
    with pytest.raises(SourceError, match="is not there"):
        camera.open()
    (tmp_path / "video7").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SourceError, match="may not open it"):
        camera.open()


def test_a_process_that_no_signal_ends_is_left_behind_and_not_many_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    # the kernel's side again: a process that hangs in a driver is not ended by SIGKILL
    left: list[subprocess.Popen[bytes]] = []

    def in_vain(child: subprocess.Popen[bytes]) -> None:
        left.append(child)

    with monkeypatch.context() as unkillable:
        unkillable.setattr(subprocess.Popen, "kill", in_vain)
        camera = fake("Deaf", end_s=0.01)
        for _ in range(3):
            camera.open()
            camera.close()
        with pytest.raises(SourceError, match="hangs in its driver: 3 processes") as caught:
            camera.open()
        assert "unplug" in caught.value.mend
    for child in left:
        child.kill()
        child.wait()
    camera.open()
    assert camera.pid is not None
    camera.close()


def test_the_largest_picture_comes_whole_and_a_larger_one_is_refused() -> None:
    camera = fake("Huge", {"height_px": 2160, "width_px": 3840})
    camera.open()
    for _ in range(3):
        image = camera.read().image
        assert image.shape == (2160, 3840, 3)
        assert np.all(image == image[0, 0, 0])
    camera.close()
    camera = fake("Huge", {"height_px": 2161, "width_px": 3840})
    camera.open()
    with pytest.raises(SourceError, match="3840 x 2161") as caught:
        camera.read()
    assert "camera.width_px" in caught.value.mend


def test_no_picture_is_torn_and_each_is_newer_than_the_question() -> None:
    camera = fake("PacedCamera", {"frame_s": 0.0002})
    camera.open()
    camera.read()
    for _ in range(300):
        asked_s = time.monotonic()
        frame = camera.read()
        assert np.all(frame.image == frame.image[0, 0, 0])
        # it may have been taken just before, while the question was on its way
        assert frame.captured_at_s > asked_s - 0.05
    camera.close()


def test_a_slow_reader_is_given_the_newest_picture_not_the_oldest() -> None:
    camera = fake()
    camera.open()
    camera.read()
    time.sleep(0.3)
    asked_s = time.monotonic()
    assert camera.read().captured_at_s > asked_s - 0.05
    camera.close()


def test_the_child_is_told_no_secret_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOMUSIC_MQTT__PASSWORD", "hunter2")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    camera = fake()
    camera.open()
    environment = Path(f"/proc/{camera.pid}/environ").read_bytes()
    camera.close()
    assert b"hunter2" not in environment
    assert b"NOTIFY" not in environment


def test_ctrl_c_reaches_the_child_and_does_not_end_it(of_files: FileCamera, usb: ChildCamera) -> None:
    usb.open()
    usb.read()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(usb.pid, number)
    for _ in range(3):
        assert usb.read() is not None


def test_a_prepared_child_holds_no_device_until_it_is_opened(of_files: FileCamera, usb: ChildCamera) -> None:
    usb.prepare()
    child = usb.pid
    assert child is not None
    # by then it has built its source and waits for a word
    eventually(lambda: Path(f"/proc/{child}/wchan").read_text() not in ("", "0") and "cv2" in mapped(child))
    assert of_files.holders() == set()
    with pytest.raises(SourceError, match="not open"):
        usb.read()
    usb.open()
    assert usb.pid == child
    assert usb.read() is not None
    assert of_files.holders() == {child}
    usb.close()
    assert not alive(child)


def test_a_prepared_child_that_is_gone_is_replaced(usb: ChildCamera) -> None:
    usb.prepare()
    first = usb.pid
    usb.interrupt()
    with pytest.raises(SourceError, match="closed"):
        usb.open()
    usb.allow()
    usb.open()
    assert usb.pid not in (None, first)
    assert usb.read() is not None


def test_what_is_prepared_and_not_opened_is_closed(of_files: FileCamera, usb: ChildCamera) -> None:
    usb.prepare()
    child = usb.pid
    assert child is not None
    usb.close()
    assert not alive(child)
    of_files.unplug()
    # no camera, no process; open() says so
    usb.prepare()
    assert usb.pid is None
    with pytest.raises(SourceError):
        usb.open()


def mapped(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()
