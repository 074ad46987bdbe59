"""Writes a roofline into a page of the docs, between two marks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .roofline_model import RooflineReport

_BEGIN, _END = "<!-- roofline: written by benchmarks/roofline.py -->", "<!-- end of the roofline -->"


def write_into(report: RooflineReport, page: Path) -> None:
    """Put the tables of a report in the place of those that stand between the marks.

    Raises:
        ValueError: the page has no such place.
    """
    text = page.read_text(encoding="utf-8")
    place = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", flags=re.DOTALL)
    if len(place.findall(text)) != 1:
        raise ValueError(f"{page} has no single place for the roofline, expected {_BEGIN} and {_END}")
    page.write_text(place.sub(lambda _: f"{_BEGIN}\n{tables(report)}\n{_END}", text), encoding="utf-8")


def tables(report: RooflineReport) -> str:
    """Models, then peaks, as the page shows them."""
    models = [
        [
            row.title,
            row.precision,
            f"{row.macs / 1e6:,.0f}",
            f"{row.weight_bytes / 1e6:.1f}",
            f"{row.intensity:.0f}",
            row.bound,
            f"{row.ideal_ms:.2f}",
            f"{row.p50_ms:.2f}",
            f"{row.p50_ms / row.ideal_ms:.2f}",
            "-" if row.own_ms is None else f"{row.p50_ms / row.own_ms:.2f}",
        ]
        for row in report.models
    ]
    peaks = [[peak.name, f"{peak.threads}", f"{peak.median:.3g} {peak.unit}"] for peak in report.peaks]
    heads = ["model", "", "10^6 multiply-adds", "weights, MB", "operations a byte", "bound by"]
    heads += ["ideal, ms", "measured, ms", "times ideal", "times own shapes"]
    parts = [
        f"{report.machine.cpu}, {report.threads} threads. {report.noise_told}",
        _table(heads, models),
        "What the machine reached, by the median run:",
        _table(["work", "threads", "rate"], peaks),
    ]
    return "\n" + "\n\n".join(parts) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(line)} |" for line in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])
