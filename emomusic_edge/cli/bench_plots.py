"""Draws a benchmark: latency by stage, latency against T, and how the latencies are distributed."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.errors import ConfigError, MissingExtraError
from emomusic_edge.runtime.bench.pipeline import neither_ms
from emomusic_edge.runtime.bench.report import BenchReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito, "Color Universal Design", 2008: told apart by colour-blind eyes and in print
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES = ("-", "--", ":", "-.")
_INK = "#222222"
_NOISY = "#B00020"
_WIDTH_IN = 9.0
_DOTS_PER_INCH = 150
# What a line of a title holds at the width above.
_TITLE_CHARACTERS = 88
# Medians farther apart than this would leave the faster ones a speck on a linear scale.
_LOGARITHMIC_FROM = 5.0


def check_can_draw() -> None:
    """Find out before minutes of measuring, not after.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    _figure(1.0)


def draw_all(report: BenchReport, folder: Path) -> list[Path]:
    """Write each picture that the report has figures for.

    Returns:
        The files.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ConfigError: the folder cannot be written.
    """
    drawings: dict[str, Callable[[BenchReport], Figure | None]] = {
        "stages.png": draw_stages,
        "samples.png": draw_samples,
        "distributions.png": draw_distributions,
    }
    files = []
    for name, draw in drawings.items():
        figure = draw(report)
        if figure is None:
            continue
        of_clip = report.pipeline if draw is draw_stages else None
        if not (report.noise if of_clip is None else of_clip.noise).trusted:
            figure.text(0.995, 0.995, "the machine was not quiet", ha="right", va="top", color=_NOISY, fontsize=9)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=_DOTS_PER_INCH)
        try:
            write_atomic(folder / name, picture.getvalue())
        except OSError as cause:
            raise ConfigError(
                f"--plots {folder} cannot be written: {cause.strerror or cause}.",
                mend="Name another folder with --plots.",
            ) from cause
        files.append(folder / name)
    return files


def draw_stages(report: BenchReport) -> Figure | None:
    """Latency by stage: a bar to the median, a line to the 95th percentile; None without a pipeline."""
    pipeline = report.pipeline
    if pipeline is None or not pipeline.work_ms:
        return None
    rows = {**pipeline.stages_ms, "neither model\nnor detector": neither_ms(pipeline), "whole step": pipeline.work_ms}
    title = [f"The way of a frame on {pipeline.clip}", *textwrap.wrap(pipeline.notice, _TITLE_CHARACTERS)]
    figure = _figure(0.7 + 0.2 * len(title) + 0.5 * len(rows))
    axes = figure.subplots()
    medians, tails = np.array([np.percentile(times, (50, 95)) for times in rows.values()]).T
    places = np.arange(len(rows))
    colours = [_COLOURS[0]] * len(pipeline.stages_ms) + [_COLOURS[2], _COLOURS[1]]
    axes.barh(places, medians, color=colours, height=0.62)
    axes.hlines(places, medians, tails, color=_INK, linewidth=1.5)
    for place, (median, tail) in enumerate(zip(medians, tails, strict=True)):
        axes.text(tail, place, f"  {median:.2g} ms", va="center", fontsize=10, color=_INK)
    axes.set_yticks(places, list(rows))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * tails.max())
    axes.set_xlabel("ms a frame: bar to the median, line to the 95th percentile", color=_INK)
    axes.set_title("\n".join(title), loc="left", fontsize=11, color=_INK, parse_math=False)
    _plain(axes)
    return figure


def draw_samples(report: BenchReport) -> Figure | None:
    """Median latency against T, with a band to the 90th percentile; None where no bundle was measured at two T."""
    lines: dict[str, list[tuple[int, float, float]]] = {}
    for result in report.cases:
        case = result.case
        if case.samples:
            line = lines.setdefault(f"{case.title}, {case.precision}, {case.engine}", [])
            line.append((case.samples, result.figures.p50_ms, result.figures.p90_ms))
    lines = {name: sorted(line) for name, line in lines.items() if len(line) > 1}
    if not lines:
        return None
    figure = _figure(5.0)
    axes = figure.subplots()
    for number, (name, line) in enumerate(lines.items()):
        samples, medians, tails = np.array(line).T
        colour = _COLOURS[number % len(_COLOURS)]
        style = _LINES[number // len(_COLOURS) % len(_LINES)]
        axes.fill_between(samples, medians, tails, color=colour, alpha=0.15, linewidth=0)
        axes.plot(samples, medians, style, color=colour, marker="o", linewidth=2, label=name)
    every = sorted({t for line in lines.values() for t, _, _ in line})
    axes.set_xscale("log", base=2)
    axes.set_xticks(every, [str(t) for t in every])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("T, dropout samples of one inference", color=_INK)
    axes.set_ylabel("ms: median, band to p90", color=_INK)
    axes.set_title("Latency against T", loc="left", fontsize=12, color=_INK)
    axes.legend(frameon=False, fontsize=10)
    _plain(axes)
    return figure


def draw_distributions(report: BenchReport) -> Figure | None:
    """For each case: the middle half as a box, p5 to p95 as a line, the median as a mark."""
    if not report.cases:
        return None
    figure = _figure(1.2 + 0.34 * len(report.cases))
    # Behind _figure, which tells when matplotlib is missing.
    from matplotlib.ticker import LogLocator

    axes = figure.subplots()
    for place, result in enumerate(report.cases):
        p5, p25, p50, p75, p95 = np.percentile(result.times_ms, (5, 25, 50, 75, 95))
        engine = ("cpu", "cuda", "tensorrt").index(result.case.engine)
        axes.hlines(place, p5, p95, color=_COLOURS[engine], linewidth=1.5)
        axes.barh(place, p75 - p25, left=p25, height=0.55, color=_COLOURS[engine], alpha=0.55)
        axes.plot([p50], [place], "|", color=_INK, markersize=11, markeredgewidth=2)
    axes.set_yticks(range(len(report.cases)), [result.case.label for result in report.cases])
    axes.invert_yaxis()
    medians = [result.figures.p50_ms for result in report.cases]
    scale = ""
    if max(medians) > _LOGARITHMIC_FROM * min(medians):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        scale = " (logarithmic)"
    axes.set_xlabel(f"ms an inference{scale}: median, middle half, 5th to 95th percentile", color=_INK)
    axes.set_title("How latencies are distributed", loc="left", fontsize=12, color=_INK)
    axes.grid(axis="x", color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    _plain(axes)
    return figure


def _figure(height_in: float) -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise MissingExtraError(
            "drawing a benchmark needs matplotlib, which is not installed.", mend="pip install 'emomusic-edge[plots]'"
        ) from cause
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=_INK, labelsize=10)
