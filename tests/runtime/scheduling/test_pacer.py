"""The pacer counts what the loop does; the machine's own reader reads what the kernel says."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from emomusic_edge.runtime.camera import ChildCamera
from emomusic_edge.runtime.camera.child_cpu import process_cpu_s
from emomusic_edge.runtime.capture import LatestFrameCapture
from emomusic_edge.runtime.scheduling import FramePacer, Limits, RateBudget, budget
from emomusic_edge.runtime.scheduling.machine_load import MachineLoad


class FakeMachine:
    """CPU seconds and temperature as set."""

    def __init__(self) -> None:
        self.used_s, self.hot_c = 100.0, None

    def cpu_s(self) -> float:
        return self.used_s

    def temperature_c(self) -> float | None:
        return self.hot_c


def work(pacer: FramePacer, machine: FakeMachine, start_s: float, seconds: float, cpu_s_a_frame: float) -> float:
    now_s = start_s
    while now_s < start_s + seconds:
        now_s += pacer.period_s
        machine.used_s += cpu_s_a_frame
        pacer.worked(now_s, 0.01)
    return now_s


def test_a_budget_holds_over_time() -> None:
    machine = FakeMachine()
    pacer = FramePacer(RateBudget(Limits(10.0, max_cpu_percent=10.0)), machine)
    now_s = work(pacer, machine, 1000.0, 60.0, 0.05)
    used_s = machine.used_s
    end_s = work(pacer, machine, now_s, 100.0, 0.05)
    assert 0.05 < (machine.used_s - used_s) / (end_s - now_s) <= 0.105
    assert pacer.pace(0.5).limited_by == "cpu"
    assert pacer.pace(0.5).frames_per_second == pytest.approx(1 / pacer.period_s)
    assert pacer.pace(0.5).scene_share == 0.5


def test_what_was_used_during_a_pause_is_not_the_frames_doing() -> None:
    machine = FakeMachine()
    pacer = FramePacer(RateBudget(Limits(10.0, max_cpu_percent=10.0)), machine)
    now_s = 0.0
    for _ in range(10):
        now_s = work(pacer, machine, now_s, 3.0, 0.001)
        pacer.rested()
        machine.used_s += 50.0
        now_s += 60.0
    now_s = work(pacer, machine, now_s, 10.0, 0.001)
    assert pacer.pace(None).limited_by == "none"


def test_without_a_machine_nothing_is_limited() -> None:
    pacer = FramePacer(RateBudget(Limits(10.0, max_cpu_percent=1.0)), None)
    for second in range(100):
        pacer.worked(float(second), 0.9)
    assert pacer.pace(1.0).frames_per_second == 10.0
    assert pacer.pace(1.0).limited_by == "none"


def sensor(folder: Path, number: int, told: str | None) -> None:
    zone = folder / f"thermal_zone{number}"
    zone.mkdir()
    if told is not None:
        (zone / "temp").write_text(told)


def test_the_hottest_sensor_counts_and_nonsense_does_not(tmp_path: Path) -> None:
    for number, told in enumerate(["45000\n", "61500\n", "", "-40000\n", "0\n", "255000\n", "none\n", None]):
        sensor(tmp_path, number, told)
    assert MachineLoad(tmp_path).temperature_c() == 61.5


def test_a_trip_point_that_poses_as_a_sensor_counts_not(tmp_path: Path) -> None:
    """As on some Jetsons: the power chip's zone says 100 degrees for ever."""
    sensor(tmp_path, 0, "45000\n")
    sensor(tmp_path, 1, "100000\n")
    (tmp_path / "thermal_zone0" / "type").write_text("CPU-therm\n")
    (tmp_path / "thermal_zone1" / "type").write_text("PMIC-Die\n")
    assert MachineLoad(tmp_path).temperature_c() == 45.0


def test_a_sensor_that_goes_dark_counts_no_more(tmp_path: Path) -> None:
    sensor(tmp_path, 0, "45000\n")
    sensor(tmp_path, 1, "70000\n")
    load = MachineLoad(tmp_path)
    (tmp_path / "thermal_zone1" / "temp").unlink()
    assert load.temperature_c() == 45.0
    (tmp_path / "thermal_zone0" / "temp").unlink()
    assert load.temperature_c() is None


def test_no_sensors_at_all(tmp_path: Path) -> None:
    assert MachineLoad(tmp_path / "nothing").temperature_c() is None


def test_cpu_time_is_that_of_all_threads_over_all_cores() -> None:
    """A second thread's work counts; the oracle is the kernel's own count in /proc."""
    load = MachineLoad()

    def kernel_s() -> float:
        fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before_s, kernel_before_s = load.cpu_s(), kernel_s()

    def spin() -> None:
        until_s = time.thread_time() + 0.3
        while time.thread_time() < until_s:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    thread.join()
    used_s = (load.cpu_s() - before_s) * len(os.sched_getaffinity(0))
    assert used_s >= 0.3
    # the kernel's count has ticks of 10 ms
    assert used_s == pytest.approx(kernel_s() - kernel_before_s, abs=0.05)


def test_a_process_that_helps_counts_and_only_cores_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound to one core of the machine, a second of it is a second of all there is."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    helped_s = [0.0]
    load = MachineLoad(helper_cpu_s=lambda: helped_s[0])
    before_s = load.cpu_s()
    helped_s[0] = 7.0
    assert load.cpu_s() - before_s == pytest.approx(7.0, abs=0.5)


def test_with_a_camera_process_that_is_busy_the_use_of_both_ends_under_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The camera takes 30 % of a core, the frames 50 % at 20 a second; together they may take 60 %."""
    monkeypatch.setattr(budget, "_LOOK_S", 0.6)
    monkeypatch.setattr(budget, "_LOOK_FRAMES", 4)
    cores, allowed_of_a_core = len(os.sched_getaffinity(0)), 60.0
    camera = ChildCamera("cameras_in_child:Busy", {}, name="a busy camera")
    feed = LatestFrameCapture(camera, pace=False)
    pacer = FramePacer(
        RateBudget(Limits(20.0, max_cpu_percent=allowed_of_a_core / cores)),
        MachineLoad(helper_cpu_s=lambda: feed.helper_cpu_s),
    )

    def work(seconds: float) -> float:
        """Work at the pacer's pace; what this process and the camera's used, by the kernel's count, in % of a core."""
        began_s = time.monotonic()
        before_s = process_cpu_s(os.getpid()) + process_cpu_s(camera.pid or 0)
        while (now_s := time.monotonic()) < began_s + seconds:
            assert feed.next(30.0) is not None
            until_s = time.thread_time() + 0.025
            while time.thread_time() < until_s:
                pass
            pacer.worked(time.monotonic(), 0.025)
            time.sleep(max(now_s + pacer.period_s - time.monotonic(), 0.0))
        used_s = process_cpu_s(os.getpid()) + process_cpu_s(camera.pid or 0) - before_s
        return 100.0 * used_s / (time.monotonic() - began_s)

    feed.start()
    try:
        work(3.5)
        assert work(2.0) <= allowed_of_a_core + 4.0
        assert pacer.pace(None).limited_by == "cpu"
    finally:
        feed.close()
