"""The whole way of a frame on a clip: as fast as it goes for the stages, in real time for age and dropped frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from emomusic_edge.contracts import StateSnapshot
from emomusic_edge.runtime.loaded_models import Models

from .noise import noise_verdict, timings_ms
from .report import PipelineResult

# Stages that are a model's or the detector's, crops and resizing for them included.
MODEL_STAGES = ("detect", "face", "scene")
_DIGITS = 4


class Run(Protocol):
    """One run of the service on the clip (runtime.app.App)."""

    @property
    def models(self) -> Models:
        """What it runs."""
        ...

    def observe(self, observer: Callable[[StateSnapshot], None]) -> None:
        """Have every snapshot told."""
        ...

    def run(self) -> dict[str, Any]:
        """Run to the end; the summary."""
        ...


MakeRun = Callable[[bool, threading.Event], Run]


def measure_pipeline(
    clip: str,
    make: MakeRun,
    seconds: float,
    fixed_work: Callable[[], object],
    sample: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> PipelineResult:
    """Run the clip twice: fast, then in real time.

    Args:
        clip: what to call it.
        make: a run of the service on the clip, from `fast` and the event that ends it.
        seconds: in real time, stop after this long.
        fixed_work: timed before and after each run, to judge the machine by.
        sample: called after each frame in real time.
        clock: seconds, monotonic.
    """
    noise_ms: list[float] = []

    def quiet() -> None:
        noise_ms.extend(timings_ms(fixed_work, clock))

    stages: dict[str, list[float]] = {}
    work_ms: list[float] = []

    def stage_times(snapshot: StateSnapshot) -> None:
        if snapshot.new_frame:
            work_ms.append(round(snapshot.latency_ms, _DIGITS))
            for stage, took_ms in snapshot.stage_ms.items():
                stages.setdefault(stage, []).append(round(took_ms, _DIGITS))

    fast = make(True, threading.Event())
    fast.observe(stage_times)
    quiet()
    told_fast = fast.run()
    quiet()

    age_ms: list[float] = []

    def ages(snapshot: StateSnapshot) -> None:
        if snapshot.new_frame:
            age_ms.append(round(snapshot.latency_ms, _DIGITS))
            sample()

    stop = threading.Event()
    real = make(False, stop)
    real.observe(ages)
    quiet()
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    try:
        told = real.run()
    finally:
        timer.cancel()
    quiet()
    frames = max(int(told_fast["frames"]), 1)
    return PipelineResult(
        clip=clip,
        notice=real.models.notice,
        providers=told["providers"],
        stages_ms={stage: tuple(times) for stage, times in stages.items()},
        work_ms=tuple(work_ms),
        frame_ms=1e3 * float(told_fast["seconds"]) / frames,
        age_ms=tuple(age_ms),
        seconds=float(told["seconds"]),
        dropped=int(told["dropped"]),
        noise=noise_verdict(noise_ms),
    )


def neither_ms(result: PipelineResult) -> Sequence[float]:
    """By frame: the work that is neither a model's nor the detector's; every frame has every stage."""
    models = zip(*(result.stages_ms[stage] for stage in MODEL_STAGES if stage in result.stages_ms), strict=True)
    return [work - sum(taken) for work, taken in zip(result.work_ms, models, strict=True)]
