"""Windows: which ones there are, and what each is the mean of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emomusic_edge.deam_index.annotations import SongAnnotation
from emomusic_edge.deam_index.windows import windows_of


def song(values: list[tuple[float, float]]) -> SongAnnotation:
    return SongAnnotation(7, 15.0, np.array(values, np.float64).reshape(-1, 2))


@pytest.mark.parametrize(
    ("instants", "starts_s"),
    [
        (0, []),
        (19, []),
        (20, [15.0]),
        (29, [15.0]),
        (30, [15.0, 20.0]),
        (60, [15.0, 20.0, 25.0, 30.0, 35.0]),
    ],
)
def test_the_last_window_that_fits_is_kept(instants: int, starts_s: list[float]) -> None:
    windows = windows_of(song([(0.0, 0.0)] * instants))
    assert windows.start_s.tolist() == starts_s
    assert windows.end_s.tolist() == [start_s + 10 for start_s in starts_s]
    assert windows.points.shape == (len(starts_s), 2)


def test_means_by_hand() -> None:
    ramp = [(i / 100, -i / 200) for i in range(40)]
    windows = windows_of(song(ramp))
    # instants 0..19, 10..29, 20..39: their middles are 9.5, 19.5 and 29.5
    np.testing.assert_allclose(windows.points, [[0.095, -0.0475], [0.195, -0.0975], [0.295, -0.1475]], atol=1e-15)


def test_a_gap_up_to_half_a_window_is_bridged_and_a_longer_one_is_not() -> None:
    nan = (math.nan, math.nan)
    half = windows_of(song([*[(0.5, 0.25)] * 10, *[nan] * 10, *[(-0.5, 0.75)] * 10]))
    np.testing.assert_array_equal(half.points, [[0.5, 0.25], [-0.5, 0.75]])
    more = windows_of(song([*[(0.5, 0.25)] * 9, *[nan] * 11, *[(-0.5, 0.75)] * 10]))
    np.testing.assert_array_equal(more.points, [[-0.5, 0.75]])
    assert more.start_s.tolist() == [20.0]


@settings(deadline=None)
@given(
    values=st.lists(
        st.one_of(st.just(math.nan), st.floats(-1, 1, allow_subnormal=False)),
        max_size=90,
    ),
    length=st.integers(1, 30),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9]),
)
def test_windows_are_those_of_the_plain_loop(values: list[float], length: int, overlap: float) -> None:
    windows = windows_of(song([(v, -v) for v in values]), window_s=length / 2, overlap=overlap)
    expected = []
    for start in range(0, len(values) - length + 1, max(1, round(length * (1 - overlap)))):
        there = [v for v in values[start : start + length] if not math.isnan(v)]
        if 2 * len(there) >= length:
            expected.append((15 + start / 2, math.fsum(there) / len(there)))
    assert windows.start_s.tolist() == [start_s for start_s, _ in expected]
    np.testing.assert_allclose(windows.points[:, 0], [mean for _, mean in expected], atol=1e-12)
    np.testing.assert_allclose(windows.points[:, 1], [-mean for _, mean in expected], atol=1e-12)
