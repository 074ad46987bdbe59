"""Draws a soak: memory, latency, threads and descriptors over its frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from soak_figures import SoakRecord, Verdict, latency_blocks, quiet_blocks

# Okabe & Ito, "Color Universal Design", 2008
_BLUE, _ORANGE, _GREEN, _INK = "#0072B2", "#D55E00", "#009E73", "#222222"
# the start-up's own outliers would flatten the rest
_SHOWN_ABOVE_P99 = 1.5


def draw_soak(record: SoakRecord, verdicts: Sequence[Verdict], file: Path) -> None:
    frames = np.arange(len(record.resident_kib)) * record.every
    figure = Figure(figsize=(9.0, 8.0), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    memory, latency, counts = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))

    # the one lies on the other while no page of a file comes or goes
    for name, kib, colour, width in (
        ("all that is resident (VmRSS)", record.resident_kib, _BLUE, 5),
        ("its own (anonymous)", record.anonymous_kib, _ORANGE, 2),
    ):
        growth = (np.asarray(kib) - kib[0]) * 1024 / 1e6
        memory.plot(frames, growth, color=colour, linewidth=width, label=f"{name}, at first {kib[0] / 1024:.0f} MiB")
    memory.set_ylabel("growth, MB")
    memory.legend(frameon=False, loc="lower right")

    blocks, quiet = latency_blocks(record), quiet_blocks(record)
    middles = frames[:-1] + record.every / 2
    p50, p99 = np.array([np.percentile(block, (50, 99)) for block in blocks]).T
    latency.plot(middles, p50, color=_BLUE, linewidth=1.5, label="median of a block")
    latency.plot(middles[quiet], p99[quiet], ".", color=_ORANGE, markersize=4, label="p99 of a quiet block")
    if not quiet.all():
        latency.plot(middles[~quiet], p99[~quiet], "x", color="#999999", markersize=4, label="p99, not quiet")
    latency.set_ylim(0, _SHOWN_ABOVE_P99 * np.percentile(record.latency_ms, 99))
    latency.set_ylabel("ms a frame")
    latency.legend(frameon=False, ncols=3, loc="lower right")

    counts.step(frames, record.threads, where="post", color=_GREEN, linewidth=2, label="threads")
    counts.step(frames, record.descriptors, where="post", color=_INK, linewidth=2, label="file descriptors")
    counts.set_ylim(0, 1.4 * max(*record.threads, *record.descriptors))
    counts.legend(frameon=False, ncols=2, loc="lower right")
    counts.set_xlabel(f"frames after {record.warm_up:,} of warm-up, {record.clip} looped")

    tenth = frames[-1] / 10
    for axes in (memory, latency, counts):
        axes.axvspan(0, tenth, color="#EEEEEE", zorder=0)
        axes.axvspan(frames[-1] - tenth, frames[-1], color="#EEEEEE", zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=_INK)
        axes.margins(x=0.01)
    memory.set_title("\n".join(_titles(record, verdicts)), loc="left", fontsize=9, color=_INK, parse_math=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)


def _titles(record: SoakRecord, verdicts: Sequence[Verdict]) -> list[str]:
    total = len(record.latency_ms)
    lines = [f"Soak of {total:,} frames in {record.seconds:,.0f} s; first and last tenth shaded"]
    return lines + [
        f"{verdict.what}: {verdict.outcome}, {re.split(r'[;(]', verdict.told)[0].strip()}" for verdict in verdicts
    ]
