from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.runtime.quarantine import FIRST_RETRY_S, LATER_RETRY_S, LONGEST_PAUSE_S, Quarantine


def test_a_song_that_failed_once_is_free_after_a_minute() -> None:
    quarantine = Quarantine()
    quarantine.failed("a", 10.0)
    assert quarantine.released(10.0 + FIRST_RETRY_S - 0.1) == []
    assert quarantine.released(10.0 + FIRST_RETRY_S) == ["a"]
    assert quarantine.released(1e9) == []


def test_one_that_fails_again_though_others_play_stays_out_for_an_hour() -> None:
    quarantine = Quarantine()
    quarantine.failed("a", 0.0)
    quarantine.played("b")
    quarantine.released(FIRST_RETRY_S)
    quarantine.failed("a", 100.0)
    assert quarantine.released(100.0 + LATER_RETRY_S - 1) == []
    assert quarantine.released(100.0 + LATER_RETRY_S) == ["a"]
    quarantine.played("a")
    quarantine.failed("a", 5000.0)
    assert quarantine.released(5000.0 + FIRST_RETRY_S) == ["a"]


@given(st.integers(1, 40), st.floats(1, 7200))
def test_when_everything_was_gone_something_is_free_soon_after(songs: int, gone_s: float) -> None:
    quarantine = Quarantine()
    free = {f"s{song}" for song in range(songs)}
    now_s = 0.0
    while now_s < gone_s:
        if free and not quarantine.pausing(now_s):
            quarantine.failed(free.pop(), now_s)
        now_s += 1.0
        free |= set(quarantine.released(now_s))
    back_s = now_s
    while not free or quarantine.pausing(now_s):
        now_s += 1.0
        free |= set(quarantine.released(now_s))
    assert now_s - back_s <= FIRST_RETRY_S + LONGEST_PAUSE_S


def test_one_bad_song_pauses_nothing() -> None:
    quarantine = Quarantine()
    quarantine.failed("a", 0.0)
    assert not quarantine.pausing(0.0)


@given(st.integers(2, 200))
def test_many_in_a_row_are_tried_ever_more_slowly_but_never_too_slowly(songs: int) -> None:
    quarantine = Quarantine()
    now_s = 0.0
    waits = []
    for song in range(songs):
        quarantine.failed(f"s{song}", now_s)
        before_s = now_s
        while quarantine.pausing(now_s):
            now_s += 0.25
        waits.append(now_s - before_s)
    assert waits == sorted(waits)
    assert max(waits) <= LONGEST_PAUSE_S
    quarantine.played("another")
    quarantine.failed("b", now_s)
    assert not quarantine.pausing(now_s)


def test_where_nothing_else_is_left_the_first_to_come_free_need_not_wait_for_it() -> None:
    quarantine = Quarantine()
    for number, song in enumerate("ab"):
        quarantine.failed(song, float(number))
    assert quarantine.released(1.1, others=False) == []  # pausing
    assert quarantine.released(10.0) == []
    assert quarantine.released(10.0, others=False) == ["a"]
    assert quarantine.released(10.0, others=False) == ["b"]
    assert quarantine.released(10.0, others=False) == []
