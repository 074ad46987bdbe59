"""Runs graphs in turns in one process, in the sessions that the service opens, and prints their ratios."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.runtime.bench.figures import latency_figures, ratio_of_medians
from emomusic_edge.runtime.bench.measure import Effort, measure
from emomusic_edge.runtime.bench.noise import FixedWork, noise_verdict
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine

Inputs = Mapping[str, NDArray[np.generic]]


def session_run(model: bytes, name: str, inputs: Inputs) -> Callable[[], object]:
    """One inference of a graph on the CPU, one thread a core, as the service runs it."""
    engine = OrtEngine(model, name=name, providers=("CPUExecutionProvider",))
    return lambda: engine.run(inputs)


def print_turns(runs: Mapping[str, Callable[[], object]], against: str, effort: Effort) -> None:
    """Let all take turns and print a table: the median, and its ratio to one of them with a 95 % interval.

    Args:
        runs: one inference each, by what the table calls it.
        against: the one that the others are held against.
        effort: how long.
    """
    with contextlib.closing(FixedWork(os.sched_getaffinity(0))) as fixed_work:
        timings = measure(list(runs.values()), effort, time.perf_counter, fixed_work)
    rounds = dict(zip(runs, timings.rounds_ms, strict=True))
    print(f"| | ms, median | against {against} (95 % interval) |\n|---|---|---|")
    for name, times in rounds.items():
        median = latency_figures([run for turn in times for run in turn]).p50_ms
        ratio = ratio_of_medians(times, rounds[against])
        spread = "1" if name == against else f"{ratio.ratio:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
        print(f"| {name} | {median:.2f} | {spread} |")
    print(noise_verdict(timings.noise_ms).told)
