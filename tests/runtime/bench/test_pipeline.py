from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from snapshots import snapshot

from emomusic_edge.contracts import StateSnapshot
from emomusic_edge.runtime.bench.pipeline import measure_pipeline, neither_ms

STAGES = {"detect": 4.0, "face": 1.0, "scene": 2.0, "steady": 0.25, "music": 0.25}


class FakeRun:
    """A run of three frames and one snapshot between them."""

    def __init__(self, fast: bool, stop: threading.Event) -> None:
        self.fast, self.stop = fast, stop
        self._observer: Callable[[StateSnapshot], None] = lambda snapshot: None

    @property
    def models(self) -> Any:
        return SimpleNamespace(notice="Random weights.")

    def observe(self, observer: Callable[[StateSnapshot], None]) -> None:
        self._observer = observer

    def run(self) -> dict[str, Any]:
        latency_ms = 8.0 if self.fast else 40.0
        for _ in range(3):
            self._observer(snapshot(latency_ms=latency_ms, stage_ms=STAGES))
        self._observer(snapshot(new_frame=False, latency_ms=latency_ms, stage_ms=STAGES))
        seconds, dropped = (0.03, 0) if self.fast else (1.0, 7)
        return {"frames": 3, "seconds": seconds, "dropped": dropped, "providers": {"face": "CPUExecutionProvider"}}


def test_stages_come_from_the_fast_run_age_and_drops_from_real_time() -> None:
    runs: list[FakeRun] = []
    calls: list[str] = []

    def make(fast: bool, stop: threading.Event) -> FakeRun:
        runs.append(FakeRun(fast, stop))
        return runs[-1]

    told = measure_pipeline("clip.mp4", make, 60.0, lambda: calls.append("fixed"), lambda: calls.append("sample"))
    assert [run.fast for run in runs] == [True, False]
    assert told.notice == "Random weights."
    assert told.work_ms == (8.0,) * 3
    assert told.age_ms == (40.0,) * 3
    assert told.stages_ms["detect"] == (4.0,) * 3
    assert told.frame_ms == pytest.approx(10.0)
    assert (told.seconds, told.dropped) == (1.0, 7)
    assert list(neither_ms(told)) == pytest.approx([1.0] * 3)
    # five timings, and one not counted, before and after each run; a sample after each frame in real time
    assert calls == ["fixed"] * 18 + ["sample"] * 3 + ["fixed"] * 6
    assert told.noise.timings == 20


def test_real_time_is_stopped_after_its_seconds() -> None:
    class Endless(FakeRun):
        def run(self) -> dict[str, Any]:
            if not self.fast:
                assert self.stop.wait(30.0)
            return super().run()

    assert measure_pipeline("clip.mp4", Endless, 0.01, lambda: None).dropped == 7
