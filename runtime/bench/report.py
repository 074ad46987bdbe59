"""The JSON file of a benchmark: every figure with the machine it comes from, checked when it is read again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.errors import ConfigError

from .cases import Case, LoadedCase
from .figures import LatencyFigures, Ratio, latency_figures
from .jetson import JetsonFigures
from .machine import Machine
from .measure import Timings
from .noise import NoiseVerdict

SCHEMA_VERSION = 2
# Every single time is kept to a thousandth of a millisecond.
_DIGITS = 3
_MAX_BYTES = 64 << 20


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CaseResult(_Record):
    """A case, its figures, and the times they come from."""

    case: Case
    figures: LatencyFigures
    memory_mb: float
    gpu_memory_mb: float | None = Field(default=None, description="None on the CPU, or where the driver does not tell")
    jetson: JetsonFigures | None = Field(default=None, description="a reading at the end of each of its turns")
    nodes: dict[str, int] | None = Field(
        default=None, description="by provider, how many nodes it ran; None where one provider alone can run it"
    )
    rounds_ms: tuple[tuple[float, ...], ...] = Field(description="by round: the times of its runs")

    @property
    def times_ms(self) -> list[float]:
        """The times of all rounds."""
        return [time for times in self.rounds_ms for time in times]


class Comparison(_Record):
    """Two cases held side by side: medians of A over those of B."""

    a: str
    b: str
    ratio: Ratio


class PipelineResult(_Record):
    """The whole way of a frame on a clip."""

    clip: str
    notice: str = Field(default="", description="which models are starters or have random weights")
    providers: dict[str, str]
    stages_ms: dict[str, tuple[float, ...]] = Field(description="by stage, read as fast as possible: times by frame")
    work_ms: tuple[float, ...] = Field(description="of one step: all stages and what is between them")
    frame_ms: float = Field(description="wall time of the run by its frames: the step, decoding and telling")
    age_ms: tuple[float, ...] = Field(description="in real time: from a picture's capture to the end of its step")
    seconds: float = Field(description="how long it ran in real time")
    dropped: int = Field(description="in real time: frames of the clip that were not worked on")
    noise: NoiseVerdict = Field(description="of the fixed work before and after each of the two runs")
    jetson: JetsonFigures | None = Field(default=None, description="in real time, a reading after each frame")


class BenchReport(_Record):
    """The file."""

    schema_version: Literal[2] = 2
    created_at: datetime
    machine: Machine
    threads: int = Field(description="CPU threads of one inference, as set; 0 for one a core")
    threads_counted: int | None = Field(
        default=None, description="what that came to, the caller among them; None where nothing ran on the CPU"
    )
    seconds: float
    noise: NoiseVerdict = Field(description="of the fixed work before each turn")
    jetson: JetsonFigures | None = Field(default=None, description="means over all turns")
    absent: tuple[str, ...] = Field(default=(), description="what was not measured, and why")
    cases: tuple[CaseResult, ...] = ()
    comparison: Comparison | None = None
    pipeline: PipelineResult | None = None


def case_results(
    loaded: tuple[LoadedCase, ...],
    timings: Timings,
    jetson: Callable[[int], JetsonFigures | None] = lambda place: None,
) -> tuple[CaseResult, ...]:
    """What was measured of each case; `jetson` has the board's figures by its place."""
    results = []
    for place, (case, rounds) in enumerate(zip(loaded, timings.rounds_ms, strict=True)):
        kept = tuple(tuple(round(time, _DIGITS + 1) for time in times) for times in rounds)
        figures = latency_figures([time for times in rounds for time in times])
        results.append(
            CaseResult(
                case=case.case,
                figures=figures,
                memory_mb=round(case.memory_mb, 1),
                gpu_memory_mb=None if case.gpu_memory_mb is None else round(case.gpu_memory_mb, 1),
                jetson=jetson(place),
                nodes=None if case.nodes is None else dict(case.nodes),
                rounds_ms=kept,
            )
        )
    return tuple(results)


def write_report(path: Path, report: BenchReport) -> None:
    """Write it, the whole of it or nothing.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        write_atomic(path, report.model_dump_json(indent=1) + "\n")
    except OSError as cause:
        raise ConfigError(
            f"--json {path} cannot be written: {cause.strerror or cause}.", mend="Name another file with --json."
        ) from cause


def read_report(path: Path) -> BenchReport:
    """Read a file that `bench --json` wrote.

    Raises:
        ConfigError: it is missing, of another schema version, or no such file.
    """
    mend = f"emomusic-edge bench --json {path.name}"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path} is {path.stat().st_size >> 20} MiB, not a benchmark's file.", mend=mend)
        text = path.read_bytes()
    except OSError as cause:
        raise ConfigError(f"{path} cannot be read: {cause.strerror or cause}.", mend=mend) from cause
    try:
        return BenchReport.model_validate_json(text)
    except ValidationError as cause:
        fault: Any = cause.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or "the document"
        if where == "schema_version":
            raise ConfigError(
                f"{path} is of schema version {fault['input']}, this program reads {SCHEMA_VERSION}.",
                mend="Measure both machines with the same version of emomusic-edge.",
            ) from cause
        raise ConfigError(f"{path} is no benchmark's file: {where}: {fault['msg']}.", mend=mend) from cause
