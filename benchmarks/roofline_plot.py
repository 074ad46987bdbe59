"""Draws the roofline: what the machine can do at an arithmetic intensity, and where the models lie below it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from .roofline_count import Kind
from .roofline_model import RooflineReport, roof

# Okabe & Ito, "Color Universal Design", 2008
_COLOURS: dict[Kind, str] = {"fp32": "#0072B2", "fp16": "#0072B2", "int8": "#D55E00"}
_INK = "#222222"
# A model with fewer multiply-adds than this is all overhead, and tells nothing of the machine.
_LEAST_MACS = 1_000_000


def draw_roofline(report: RooflineReport, file: Path) -> None:
    """Write the PNG: a roof for each kind of numbers, a point for each model, a line up to its roof."""
    models = [row for row in report.models if row.macs >= _LEAST_MACS]
    bandwidth = roof(report.peaks, None, report.threads)
    intensities = np.geomspace(1, 2.5 * max(row.intensity for row in models), 200)
    figure = Figure(figsize=(9.0, 5.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for kind in ("fp32", "int8"):
        limit = roof(report.peaks, kind, report.threads)
        axes.plot(intensities, np.minimum(bandwidth * intensities, limit), color=_COLOURS[kind], linewidth=2.5)
        axes.annotate(
            f"{kind} products: {limit:,.0f} GFLOP/s",
            (limit / bandwidth, limit),
            xytext=(16, 5),
            textcoords="offset points",
            color=_COLOURS[kind],
        )
    axes.annotate(
        f"memory: {bandwidth:.0f} GB/s",
        (1.15, 1.15 * bandwidth),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        color=_INK,
    )
    for row in models:
        reached = 2e-6 * row.macs / row.p50_ms
        colour = _COLOURS[row.fastest_kind]
        possible = 2e-6 * row.macs / row.ideal_ms
        axes.plot([row.intensity] * 2, [reached, possible], ":", color=colour, linewidth=1.5)
        axes.plot([row.intensity], [reached], "o", color=colour, markersize=8)
        name = row.title.replace(" (random weights)", "*")
        axes.annotate(
            f"{name}\n{reached:,.0f} GFLOP/s, {row.p50_ms / row.ideal_ms:.2f} x ideal",
            (row.intensity, reached),
            xytext=(0, -8),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
            color=_INK,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_ylim(bottom=0.5 * min(2e-6 * row.macs / row.p50_ms for row in models))
    axes.set_xlabel(
        "operations for each byte of weights (two a multiply-add); *: random weights, for latency only", color=_INK
    )
    axes.set_ylabel("GFLOP/s (int8: the same operations)", color=_INK)
    noise = "" if report.noise_trusted else ": THE MACHINE WAS NOT QUIET"
    axes.set_title(f"Roofline, {report.machine.cpu}, {report.threads} threads{noise}", loc="left", color=_INK)
    axes.grid(which="major", color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)
