"""Counts held against peaks: what bounds a model, and its ideal time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.roofline_count import Product
from benchmarks.roofline_model import PeakRow, ideal_ms, model_row, own_shapes, peak_row, roof
from benchmarks.roofline_peaks import Peak, last_cache_bytes, peaks

# 1e9 multiply-adds, 4 MB of weights
LARGE = Product("y", "MatMul", "fp32", 1000, 1000, 1000, 1, 4_000_000, 8_000_000)
# one row: 1e6 multiply-adds, the same weights
SINGLE_ROW = replace(LARGE, rows=1)


def peak(name: str, kind, rate: float, threads: int = 2, shape=None) -> PeakRow:
    unit = "GB/s" if kind is None else "GFLOP/s"
    return PeakRow(
        name=name, kind=kind, threads=threads, roof=shape is None, shape=shape, unit=unit, median=rate, best=rate
    )


PEAKS = (
    peak("square", "fp32", 100.0),
    peak("square, BLAS", "fp32", 200.0),
    peak("square", "fp32", 400.0, threads=4),
    peak("square", "int8", 800.0),
    peak("own", "fp32", 50.0, shape=("fp32", 1000, 1000, 1000)),
    peak("copy", None, 10.0),
    peak("read", None, 20.0),
)


def test_the_roof_is_the_best_of_a_kind_on_as_many_threads_and_no_shape_of_a_model() -> None:
    assert roof(PEAKS, "fp32", 2) == 200.0
    assert roof(PEAKS, "fp16", 2) == 200.0
    assert roof(PEAKS, "int8", 2) == 800.0
    assert roof(PEAKS, None, 2) == 20.0


def test_the_ideal_time_is_that_of_the_arithmetic_or_of_the_weights() -> None:
    assert ideal_ms(LARGE, 200.0, 20.0) == pytest.approx(10.0)
    assert ideal_ms(SINGLE_ROW, 200.0, 20.0) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("products", "cache_bytes", "bound", "ideal", "own"),
    [
        ([LARGE], 0, "compute", 10.0, 40.0),
        ([SINGLE_ROW], 0, "memory", 0.2, None),
        # weights that fit the cache need not come from memory
        ([SINGLE_ROW], 10**9, "compute", 0.01, None),
        ([LARGE, SINGLE_ROW], 0, "compute", 10.2, 40.04),
        ([replace(LARGE, kind="int8")], 0, "compute", 2.5, None),
    ],
)
def test_a_models_row(products, cache_bytes: int, bound: str, ideal: float, own: float | None) -> None:
    row = model_row("m", "fp32", products, [[12.0], [16.0, 14.0]], PEAKS, 2, cache_bytes)
    assert (row.bound, row.p50_ms) == (bound, 14.0)
    assert row.ideal_ms == pytest.approx(ideal)
    assert row.own_ms == (None if own is None else pytest.approx(own))
    assert row.intensity == pytest.approx(2 * row.macs / row.weight_bytes)


def test_a_rate_is_the_amount_over_the_time() -> None:
    row = peak_row(Peak("copy", None, 1, 0.5, True, lambda: None), [[10.0] * 9, [5.0] * 2])
    assert row.median == pytest.approx(50.0)
    assert row.best == pytest.approx(100.0)


def test_own_shapes_are_the_largest_of_large_models_and_no_shape_twice() -> None:
    attention = replace(LARGE, weight_bytes=0, rows=2000)
    shapes = [replace(LARGE, columns=1000 + i) for i in range(5)]
    assert own_shapes([[*shapes, attention], shapes, [SINGLE_ROW]]) == [shapes[4], shapes[3], shapes[2]]


def test_every_peak_runs_and_moves_what_it_says() -> None:
    small = Product("y", "MatMul", "int8", 8, 16, 4, 1, 64, 8 * 16 + 4 * 8)
    found = peaks([small], threads=1, cache_bytes=1)
    assert {(p.kind, p.threads, p.roof) for p in found} == {
        ("fp32", 1, True),
        ("int8", 1, True),
        ("int8", 1, False),
        (None, 1, True),
    }
    own = next(p for p in found if not p.roof)
    assert own.amount == pytest.approx(2e-9 * 8 * 16 * 4 * 64)
    assert len(own.run()) == 64
    for each in found:
        if each.kind is None:
            each.run()
    assert last_cache_bytes() >= 2**20
    assert np.isfinite(own.amount)
