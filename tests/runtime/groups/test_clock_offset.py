"""The offset between two clocks: the truth always lies within the bound, also after a machine slept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.runtime.groups.clock_offset import DRIFT, REMEMBERED, ClockOffset, Offset

ways_s = st.tuples(st.floats(0.0, 0.5), st.floats(0.0, 0.5))


def test_nothing_is_known_before_an_answer() -> None:
    assert ClockOffset().best(5.0) is None
    assert ClockOffset().questions == 0


def test_equal_ways_tell_the_offset() -> None:
    offset = ClockOffset()
    offset.answered(10.0, 1010.1, 10.2)
    best = offset.best(10.2)
    assert best is not None
    assert best == Offset(pytest.approx(1000.0), pytest.approx(0.1 + 0.2 * DRIFT))
    assert best.to_own(1011.0) == pytest.approx(11.0)


def test_the_quickest_answer_is_the_best() -> None:
    offset = ClockOffset()
    for way_s in (0.2, 0.01, 0.4):
        offset.answered(10.0, 110.0 + way_s, 10.0 + 2 * way_s)
    best = offset.best(11.0)
    assert best is not None
    assert best.bound_s == pytest.approx(0.01 + DRIFT * (11.0 - 10.0))


def test_an_answer_before_its_question_is_none() -> None:
    offset = ClockOffset()
    offset.answered(10.0, 110.0, 9.9)
    assert offset.best(10.0) is None


@given(
    offset_s=st.floats(-1e6, 1e6),
    drift=st.floats(-DRIFT / 2, DRIFT / 2),
    exchanges=st.lists(st.tuples(st.floats(0.0, 30.0), ways_s), min_size=1, max_size=40),
    later_s=st.floats(0.0, 30.0),
)
def test_the_truth_lies_within_the_bound(
    offset_s: float, drift: float, exchanges: list[tuple[float, tuple[float, float]]], later_s: float
) -> None:
    def theirs(own_s: float) -> float:
        return own_s * (1 + drift) + offset_s

    clocks, now_s = ClockOffset(), 100.0
    for pause_s, (there_s, back_s) in exchanges:
        now_s += pause_s
        clocks.answered(now_s, theirs(now_s + there_s), now_s + there_s + back_s)
        now_s += there_s + back_s
    now_s += later_s
    best = clocks.best(now_s)
    assert best is not None
    assert abs(best.offset_s - (theirs(now_s) - now_s)) <= best.bound_s + 1e-6
    assert clocks.questions == min(len(exchanges), REMEMBERED)


@given(
    before=st.lists(ways_s, min_size=1, max_size=10),
    after=ways_s,
    slept_s=st.floats(4.0, 1e5) | st.floats(-1e5, -4.0),
)
def test_after_one_machine_slept_only_what_came_later_counts(
    before: list[tuple[float, float]], after: tuple[float, float], slept_s: float
) -> None:
    clocks, now_s = ClockOffset(), 0.0
    for there_s, back_s in before:
        clocks.answered(now_s, now_s + there_s, now_s + there_s + back_s)
        now_s += 1.0
    there_s, back_s = after
    clocks.answered(now_s, now_s + there_s + slept_s, now_s + there_s + back_s)
    best = clocks.best(now_s + 1.0)
    assert best is not None
    assert clocks.questions == 1
    assert abs(best.offset_s - slept_s) <= best.bound_s + 1e-6
