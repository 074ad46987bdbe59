"""What a soak saw, and what it comes to: growth of memory, threads and descriptors, and whether frames became slower.

Pure: no clock, no process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from emomusic_edge.runtime.bench.machine import Machine
from emomusic_edge.runtime.bench.noise import NOISE_BOUND

GROWTH_BOUND_MB = 5.0
LATENCY_RATIO_BOUND = 1.10
# The fixed work may become this much slower or faster in the run; more, and the machine changed, not the service.
MACHINE_DRIFT_BOUND = 0.05
# Of the blocks in the first and in the last tenth, so many must have been quiet for their latencies to be judged.
QUIET_SHARE = 0.5
_LEAST_SAMPLES = 3
_RESAMPLES = 1000

Outcome = Literal["held", "broken", "not judged"]


class SoakRecord(BaseModel):
    """What was seen. Samples come every `every` frames: one before the first frame that counts, one after the last.

    Attributes:
        clip: the looped file's name.
        warm_up: frames before the first that counts.
        every: frames between two samples.
        resident_kib: VmRSS at each sample.
        anonymous_kib: RssAnon and RssShmem: what the process holds of its own. The rest of VmRSS is pages of files
            (libraries, the clip), which the kernel brings and drops as it likes.
        threads: of the process, at each sample.
        descriptors: open ones, at each sample.
        fixed_work_ms: runtime.bench.noise.FixedWork, timed at each sample.
        latency_ms: of each frame that counts, as the service tells it: the work of its step.
        seconds: of the frames that count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    machine: Machine
    clip: str
    warm_up: int
    every: int
    resident_kib: tuple[int, ...]
    anonymous_kib: tuple[int, ...]
    threads: tuple[int, ...]
    descriptors: tuple[int, ...]
    fixed_work_ms: tuple[float, ...]
    latency_ms: tuple[float, ...]
    seconds: float


class Verdict(BaseModel):
    """One thing that was asked for.

    Attributes:
        what: it.
        outcome: `not judged` is no pass.
        told: the figures, in a line.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    outcome: Outcome
    told: str


class SoakReport(BaseModel):
    """What is written to JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdicts: tuple[Verdict, ...]
    record: SoakRecord

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.model_dump_json(), encoding="utf-8")


def judge(record: SoakRecord, *, growth_bound_mb: float = GROWTH_BOUND_MB, latency: bool = True) -> tuple[Verdict, ...]:
    """Hold a record against the bounds.

    Args:
        record: of at least 30 samples, so that a tenth of them has a median.
        growth_bound_mb: 10^6 bytes.
        latency: whether to judge that too: a short run has too few frames for a 99th percentile.
    """
    verdicts = [
        _memory("memory", record.resident_kib, record, growth_bound_mb),
        _memory("memory of its own", record.anonymous_kib, record, growth_bound_mb),
        _count("threads", record.threads),
        _count("file descriptors", record.descriptors),
    ]
    return (*verdicts, _latency(record)) if latency else tuple(verdicts)


def first_and_last(values: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first and the last tenth of a series, three values each at least."""
    count = max(len(values) // 10, _LEAST_SAMPLES)
    array = np.asarray(values, np.float64)
    return array[:count], array[-count:]


def growth_mb(kib: Sequence[int]) -> float:
    """Median of the last tenth less that of the first: one sample amid a garbage collection moves neither."""
    first, last = first_and_last(kib)
    return float(np.median(last) - np.median(first)) * 1024 / 1e6


def _memory(what: str, kib: Sequence[int], record: SoakRecord, bound_mb: float) -> Verdict:
    growth = growth_mb(kib)
    # between the middles of the two tenths
    frames = 0.9 * len(record.latency_ms)
    return Verdict(
        what=what,
        outcome="held" if growth < bound_mb else "broken",
        told=f"{growth:+.2f} MB (bound {bound_mb:g}), {1e6 * growth / frames:+.0f} bytes a frame; "
        f"at first {kib[0] / 1024:.1f} MiB, at last {kib[-1] / 1024:.1f} MiB",
    )


def _count(what: str, counts: Sequence[int]) -> Verdict:
    first, last = (int(part.max()) for part in first_and_last(counts))
    return Verdict(
        what=what, outcome="held" if last <= first else "broken", told=f"{first} in the first tenth, {last} in the last"
    )


def quiet_blocks(record: SoakRecord) -> NDArray[np.bool_]:
    """By block of frames between two samples: whether the fixed work before and after it took no longer than usual."""
    work = np.asarray(record.fixed_work_ms)
    quiet = work <= NOISE_BOUND * np.median(work)
    return quiet[:-1] & quiet[1:]


def latency_blocks(record: SoakRecord) -> list[NDArray[np.float64]]:
    """The latencies between two samples, block by block."""
    times = np.asarray(record.latency_ms)
    return [times[start : start + record.every] for start in range(0, len(times), record.every)]


def _latency(record: SoakRecord) -> Verdict:
    """p99 of the last tenth over that of the first, of the blocks in which no other program disturbed.

    Which blocks these are the fixed work says, never the latencies. A machine that was not quiet for long enough, or
    changed its speed, is told as `not judged`: neither a slow service nor a fast one may be read from it.
    """
    blocks, quiet = latency_blocks(record), quiet_blocks(record)
    count = max(len(blocks) // 10, 1)
    early, late = range(count), range(len(blocks) - count, len(blocks))
    first_work, last_work = first_and_last(record.fixed_work_ms)
    drift = float(np.median(last_work) / np.median(first_work))
    shares = [float(np.mean([quiet[i] for i in tenth])) for tenth in (early, late)]
    machine = f"quiet blocks {shares[0]:.0%} and {shares[1]:.0%}, fixed work {drift:.3f} times as long at the end"
    if min(shares) < QUIET_SHARE or abs(drift - 1) > MACHINE_DRIFT_BOUND:
        return Verdict(
            what="latency",
            outcome="not judged",
            told=f"the machine was too noisy: {machine} (at least {QUIET_SHARE:.0%} quiet and 1 ± "
            f"{MACHINE_DRIFT_BOUND:g} needed). Stop what else runs, or see what in the service keeps a core busy",
        )
    first, last = ([blocks[i] for i in tenth if quiet[i]] for tenth in (early, late))
    ratio = _p99(last) / _p99(first)
    random = np.random.default_rng(0)
    draws = [_p99(_redrawn(last, random)) / _p99(_redrawn(first, random)) for _ in range(_RESAMPLES)]
    low, high = np.percentile(draws, (2.5, 97.5))
    return Verdict(
        what="latency",
        outcome="held" if ratio <= LATENCY_RATIO_BOUND else "broken",
        told=f"p99 {_p99(first):.2f} ms in the first tenth, {_p99(last):.2f} in the last: {ratio:.3f} times "
        f"({low:.3f} to {high:.3f}; bound {LATENCY_RATIO_BOUND:g}); {machine}",
    )


def _p99(blocks: Sequence[NDArray[np.float64]]) -> float:
    return float(np.percentile(np.concatenate(blocks), 99))


def _redrawn(blocks: Sequence[NDArray[np.float64]], random: np.random.Generator) -> list[NDArray[np.float64]]:
    # blocks, not frames: what disturbs one frame disturbs its neighbours
    return [blocks[i] for i in random.integers(len(blocks), size=len(blocks))]
