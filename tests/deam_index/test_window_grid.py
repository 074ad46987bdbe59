"""Neighbours, held against scikit-learn's tree and plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KDTree

from emomusic_edge.deam_index.window_grid import WindowGrid


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 30), st.booleans())
def test_the_nearest_are_those_of_scikit_learn(seed: int, windows: int, k: int, some: bool) -> None:
    generator = np.random.default_rng(seed)
    points = generator.uniform(-1, 1, (windows, 2)).astype(np.float32)
    rows = np.flatnonzero(generator.random(windows) < 0.5) if some else np.arange(windows)
    grid = WindowGrid(points, rows if some else None)
    assert grid.size == len(rows)
    target = generator.uniform(-1, 1, 2)
    distances, found = grid.nearest(target, k)
    if not len(rows):
        assert len(found) == 0
        assert len(grid.within(target, 1.0)) == 0
        return
    expected, _ = KDTree(points[rows].astype(np.float64)).query([target], k=min(k, len(rows)))
    np.testing.assert_allclose(distances, expected[0], atol=1e-12)
    np.testing.assert_allclose(np.hypot(*(points[found].astype(np.float64) - target).T), distances, atol=1e-12)
    assert set(found) <= set(rows)
    radius = float(distances[-1])
    away = np.hypot(*(points.astype(np.float64) - target).T)
    inside = grid.within(target, radius + 1e-9)
    assert inside.tolist() == [row for row in rows if away[row] <= radius + 1e-9]


@pytest.mark.parametrize("target", [(5.0, 0.0), (-0.3, 0.3), (0.0, 1e-9), (-1.0, -1.0), (0.999, -3.0)])
@pytest.mark.parametrize("k", [1, 7, 40, 999, 1_000])
def test_uneven_windows_and_targets_outside(target: tuple[float, float], k: int) -> None:
    """Most in one spot, some on one line, a few far out: cells full and empty."""
    generator = np.random.default_rng(3)
    spot = generator.normal(0, 1e-3, (900, 2))
    line = np.column_stack([np.full(90, -0.3), generator.uniform(-1, 1, 90)])
    points = np.concatenate([spot, line, generator.uniform(-1, 1, (10, 2))]).astype(np.float32)
    grid = WindowGrid(points)
    distances, rows = grid.nearest(target, k)
    away = np.hypot(*(points.astype(np.float64) - target).T)
    np.testing.assert_allclose(distances, np.sort(away)[:k], rtol=1e-12)
    assert len(set(rows.tolist())) == k
    assert (
        grid.within(target, float(distances[-1]) * 1.000_001).tolist()
        == np.flatnonzero(away <= float(distances[-1]) * 1.000_001).tolist()
    )


def test_every_window_is_there_when_many_are_alike() -> None:
    grid = WindowGrid(np.tile(np.float32([0.25, -0.5]), (5_000, 1)))
    assert len(set(grid.nearest((0.25, -0.5), 300)[1])) == 300
    assert grid.within((0.25, -0.5), 0.0).tolist() == list(range(5_000))


@pytest.mark.parametrize("k", [0, -3])
def test_none_wanted_none_given(k: int) -> None:
    distances, rows = WindowGrid(np.zeros((3, 2), np.float32)).nearest((0, 0), k)
    assert (len(distances), len(rows)) == (0, 0)
