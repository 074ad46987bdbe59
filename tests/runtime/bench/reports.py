"""Plausible reports for tests of what reads and draws them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from emomusic_edge.runtime.bench.cases import Case
from emomusic_edge.runtime.bench.figures import latency_figures
from emomusic_edge.runtime.bench.machine import Machine
from emomusic_edge.runtime.bench.noise import noise_verdict
from emomusic_edge.runtime.bench.report import BenchReport, CaseResult, PipelineResult

MACHINE = Machine(
    cpu="A processor",
    board=None,
    cores=4,
    cores_allowed=2,
    governor="performance",
    load_before=(0.1, 0.2, 0.3),
    system="Linux 6 x86_64",
    python="3.12.1",
    packages={"numpy": "2.0.0"},
)
PIPELINE = PipelineResult(
    clip="clip.mp4",
    providers={"scene": "CPUExecutionProvider"},
    stages_ms={
        "detect": (4.0, 5.0),
        "face": (1.0, 1.0),
        "scene": (2.0, 2.0),
        "steady": (0.1, 0.1),
        "music": (0.2, 0.2),
    },
    work_ms=(7.5, 8.7),
    frame_ms=9.0,
    age_ms=(20.0, 22.0),
    seconds=2.0,
    dropped=3,
    noise=noise_verdict([1.0] * 20),
)


def case(**changes: Any) -> Case:
    values: dict[str, Any] = {
        "bundle": "face-stub",
        "sha256": "a" * 64,
        "kind": "mc_dropout",
        "source": "face",
        "precision": "fp32",
        "height_px": 8,
        "width_px": 8,
        "latency_only": False,
        "samples": 5,
        "engine": "cpu",
        "provider": "CPUExecutionProvider",
    }
    return Case(**(values | changes))


def result(median_ms: float, **changes: Any) -> CaseResult:
    rounds = ((median_ms, 1.1 * median_ms), (0.9 * median_ms, median_ms))
    figures = latency_figures([time for times in rounds for time in times])
    return CaseResult(case=case(**changes), figures=figures, memory_mb=3.0, rounds_ms=rounds)


def report(*cases: CaseResult, **changes: Any) -> BenchReport:
    values: dict[str, Any] = {
        "created_at": datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc),
        "machine": MACHINE,
        "threads": 0,
        "seconds": 1.5,
        "noise": noise_verdict([1.0] * 20),
        "cases": cases,
    }
    return BenchReport(**(values | changes))
