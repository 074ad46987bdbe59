"""The kernel ends a run that holds more than its memory limit; the next one plays as if nothing had been.

A memory controller is wanted: cgroup v1's or v2's, and root. Where there is none the test is skipped and says so.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty import Run, eventually, housed
from file_camera import alive

from emomusic_edge.paths import DataLayout

ROOMS = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
)
LEAK_MB, ROOM_MB = 400, 60


class Limited:
    """A control group with a memory limit that a test may set."""

    def __init__(self, folder: Path, limit: str, used: str) -> None:
        self.folder, self._limit, self._used = folder, folder / limit, folder / used

    def take(self, run: Run) -> None:
        """A run and what it started: what they hold from now on counts."""
        for pid in (run.pid, *run.children()):
            (self.folder / "cgroup.procs").write_text(str(pid))

    def allow_mb(self, more_mb: float) -> None:
        """So much more than is used now."""
        self._limit.write_text(str(int(self._used.read_text()) + int(1e6 * more_mb)))


@pytest.fixture
def limited() -> Iterator[Limited]:
    for root, limit, used in ROOMS:
        folder = root / f"emomusic-edge-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            if (folder / limit).exists() and os.access(folder / limit, os.W_OK):
                try:
                    yield Limited(folder, limit, used)
                finally:
                    eventually(lambda place=folder: _removed(place), "the control group to be empty")
                return
            folder.rmdir()
    pytest.skip("no memory controller that this user may use: see /proc/cgroups, and be root")


def _removed(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


@pytest.mark.broker
@pytest.mark.faults
def test_ended_for_want_of_memory_it_leaves_nothing_behind(
    starter_layout: DataLayout, tmp_path: Path, limited: Limited
) -> None:
    with housed(tmp_path, starter_layout) as house:
        run = house.run().playing()
        fresh = None
        try:
            limited.take(run)
            limited.allow_mb(ROOM_MB)
            # With less room than it would like it goes on.
            run.states(2)
            run.sounds(0.5)
            children, before = run.children(), house.count("availability")
            run.order(leak_mb=LEAK_MB)
            eventually(run.over, "the kernel to end it")
            ended_s = time.monotonic()
            assert run.process.returncode == -9, run.log
            eventually(lambda: not any(map(alive, children)), "its camera's process to end")
            fresh = house.run().playing()
            print(f"| ended by the kernel | playing again after {time.monotonic() - ended_s:.1f} s |")  # noqa: T201
            told = [one.payload for one in house.listener.all(house.topic("availability"))[before:] if one.payload]
            assert told[-1] == b"online"
            assert fresh.end() < 9.0
            assert fresh.process.returncode == 0
        finally:
            run.kill()
            if fresh is not None:
                fresh.kill()
