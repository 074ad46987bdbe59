"""A roofline as tables on a page and as a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from pages import REPO, table, text_of

from benchmarks.roofline_model import ModelRow, PeakRow, RooflineReport
from benchmarks.roofline_page import tables, write_into
from benchmarks.roofline_plot import draw_roofline
from emomusic_edge.runtime.bench.machine import Machine

REPORT = RooflineReport(
    machine=Machine(
        cpu="made up",
        board=None,
        cores=2,
        cores_allowed=2,
        governor=None,
        load_before=(0.0, 0.0, 0.0),
        system="Linux",
        python="3.12",
        packages={},
    ),
    threads=2,
    cache_bytes=2**25,
    noise_told="Quiet enough.",
    noise_trusted=True,
    peaks=tuple(
        PeakRow(name=name, kind=kind, threads=2, roof=True, shape=None, unit=unit, median=rate, best=rate)
        for name, kind, unit, rate in (
            ("square", "fp32", "GFLOP/s", 200.0),
            ("square", "int8", "GFLOP/s", 800.0),
            ("copy", None, "GB/s", 32.0),
        )
    ),
    models=tuple(
        ModelRow(
            title=f"{name} (random weights)",
            precision=kind,
            macs=4_000_000_000,
            weight_bytes=weights,
            activation_bytes=1,
            intensity=8e9 / weights,
            bound="compute",
            ideal_ms=ideal,
            own_ms=None,
            p50_ms=2 * ideal,
            fastest_kind=kind,
        )
        for name, kind, weights, ideal in (
            ("scene", "fp32", 352_000_000, 40.0),
            ("scene-int8", "int8", 88_000_000, 10.0),
        )
    ),
)


def test_the_tables_hold_each_model_and_peak() -> None:
    rows = table(tables(REPORT))
    assert [row[0] for row in rows] == [
        *("scene (random weights)", "scene-int8 (random weights)"),
        *("square", "square", "copy"),
    ]
    assert rows[0][2:] == ["4,000", "352.0", "23", "compute", "40.00", "80.00", "2.00", "-"]


def test_a_page_keeps_all_but_its_place(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text_of("docs/performance.md"), encoding="utf-8")
    write_into(REPORT, page)
    once = page.read_text(encoding="utf-8")
    write_into(REPORT, page)
    assert page.read_text(encoding="utf-8") == once
    before, after = (text.split("<!--")[0] for text in (text_of("docs/performance.md"), once))
    assert before == after
    assert once.endswith(text_of("docs/performance.md").rsplit("-->", 1)[1])
    assert tables(REPORT) in once


def test_a_page_without_a_place_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="no single place for the roofline"):
        write_into(REPORT, page)
    assert page.read_text(encoding="utf-8") == "nothing"


def test_the_picture_opens(tmp_path: Path) -> None:
    draw_roofline(REPORT, tmp_path / "roofline.png")
    picture = cv2.imread(str(tmp_path / "roofline.png"))
    assert picture is not None
    assert picture.shape[1] >= 1000
    assert picture.std() > 10


def test_the_pages_own_picture_opens_and_its_tables_are_filled() -> None:
    page = text_of("docs/performance.md")
    rows = table(page.split("<!-- roofline", 1)[1].split("<!-- end", 1)[0])
    assert {"scene-reference (random weights)", "face-reference (random weights)"} <= {row[0] for row in rows}
    picture = cv2.imread(str(REPO / "docs/pictures/roofline.png"))
    assert picture is not None
