"""Memory that grows for good is told; what comes and goes is not."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Iterable

import pytest

from emomusic_edge.runtime.memory_growth import MemoryGrowth, Patience, own_memory_mb

MINUTES = 60.0


class Held:
    """What a process holds; counts how often it was asked."""

    def __init__(self) -> None:
        self.mb: float | None = 150.0
        self.asked = 0

    def __call__(self) -> float | None:
        self.asked += 1
        return self.mb


def told(held: Held, growth: MemoryGrowth, series_mb: Iterable[float | None], from_minute: int = 0) -> list[str]:
    """The reason of each minute."""
    reasons = []
    for minute, held.mb in enumerate(series_mb, start=from_minute):
        reasons.append(growth.reason(minute * MINUTES))
    return reasons


def test_a_leak_is_told_from_a_hundred_megabytes_on_and_anew_for_each_hundred() -> None:
    held = Held()
    reasons = told(held, growth := MemoryGrowth(held), (150.0 + minute for minute in range(400)))
    # Settled at 165 MB in minute 15; the least of ten looks lags nine minutes behind.
    assert [minute for minute, (one, other) in enumerate(itertools.pairwise(reasons)) if one != other] == [
        15 + 100 + 9 - 1,
        15 + 200 + 9 - 1,
        15 + 300 + 9 - 1,
    ]
    assert reasons[123] == ""
    assert "holds over 100 MB more" in reasons[124]
    assert "restart it" in reasons[124]
    assert "holds over 300 MB more" in reasons[-1]
    assert told(held, growth, [165.0], 400) == [""]


def test_what_is_taken_at_the_start_and_what_is_given_back_within_minutes_is_no_leak() -> None:
    held = Held()
    start = [50.0, 150.0, 400.0] + [350.0] * 20
    burst = [900.0] * 9 + [350.0]
    assert set(told(held, MemoryGrowth(held), start + burst * 20)) == {""}


def test_a_word_that_was_given_is_not_taken_back_for_a_little_less() -> None:
    held = Held()
    growth = MemoryGrowth(held)
    told(held, growth, [100.0] * 20 + [205.0] * 10)
    assert "100 MB" in growth.reason(30 * MINUTES)
    assert all(told(held, growth, [195.0, 205.0, 160.0, 205.0], 31))
    assert told(held, growth, [149.0] * 10, 35)[-1] == ""


def test_it_looks_once_a_minute_and_lives_where_nothing_can_be_read() -> None:
    held = Held()
    growth = MemoryGrowth(held)
    for tenth in range(6_000):
        growth.reason(tenth / 10)
    assert held.asked == 10
    held.mb = None
    assert growth.reason(1e6) == ""


def test_what_this_process_holds_is_read() -> None:
    before_mb = own_memory_mb()
    # Pages of its own: an allocation may find room that a test before this one left behind.
    with mmap.mmap(-1, 50_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        block.write(b"x" * len(block))
        after_mb = own_memory_mb()
    assert before_mb is not None
    assert after_mb is not None
    assert after_mb - before_mb == pytest.approx(50, abs=5)


def test_patience_is_the_products() -> None:
    patience = Patience()
    assert (patience.every_s, patience.settles_s, patience.samples, patience.step_mb) == (60.0, 900.0, 10, 100.0)
