"""What a node that leads tells: when, and where in its song it is."""

from __future__ import annotations

from pathlib import Path

from emomusic_edge.contracts import PlaybackStatus, Segment, ValenceArousal
from emomusic_edge.runtime.groups.companion import SharedSong
from emomusic_edge.runtime.groups.leading import LEAD_S, REPEAT_S, Leading, Plan

SEGMENT = Segment("a", 15.0, 25.0, 0.1, 0.1, Path("a.ogg"), 45.0)
MOOD = ValenceArousal(0.2, -0.1)


def song(at_s: float) -> SharedSong:
    return SharedSong("a", 15.0, 45.0, at_s)


def told(leading: Leading) -> SharedSong | None:
    return leading.plan(MOOD, with_song=True).song


def test_a_song_is_announced_ahead_only_while_somebody_follows() -> None:
    leading = Leading()
    assert leading.start_for(100.0) is None
    leading.asked("00000001", 100.0)
    assert leading.start_for(101.0) == 101.0 + LEAD_S
    assert leading.start_for(200.0) is None


def test_a_song_is_told_as_it_was_started() -> None:
    leading = Leading()
    assert told(leading) is None
    leading.started(SEGMENT, 101.0, at_once=False)
    for now_s, position_s in ((100.1, 15.0), (101.0, 15.0), (110.0, 24.0)):
        leading.plays(PlaybackStatus(SEGMENT, position_s), now_s)
        assert told(leading) == song(101.0)
    assert leading.plan(MOOD, with_song=False) == Plan(MOOD, None)
    leading.plays(PlaybackStatus(), 120.0)
    assert told(leading) is None


def test_after_a_pause_it_is_told_where_it_is_by_then() -> None:
    leading = Leading()
    leading.started(SEGMENT, 100.0, at_once=False)
    leading.plays(PlaybackStatus(SEGMENT, 20.0, paused=True), 130.0)
    assert told(leading) == song(100.0)
    leading.plays(PlaybackStatus(SEGMENT, 20.0), 131.0)
    assert told(leading) == song(126.0)


def test_at_its_end_it_stands() -> None:
    leading = Leading()
    leading.started(SEGMENT, 100.0, at_once=False)
    leading.plays(PlaybackStatus(SEGMENT, 43.0, ended=True), 140.0)
    assert told(leading) == song(100.0)


def test_a_song_that_it_did_not_start_itself_is_told_too() -> None:
    leading = Leading()
    leading.plays(PlaybackStatus(SEGMENT, 18.0), 50.0)
    assert told(leading) == song(47.0)


def test_a_plan_is_told_on_change_and_again_and_again() -> None:
    leading = Leading()
    plan = Plan(MOOD, song(100.0))
    assert leading.is_due(plan, 100.0)
    leading.told(plan, 100.0)
    assert not leading.is_due(plan, 100.0 + REPEAT_S - 0.1)
    assert leading.is_due(plan, 100.0 + REPEAT_S)
    assert leading.is_due(Plan(MOOD, song(103.0)), 100.1)
    moved = Plan(ValenceArousal(0.5, -0.1), song(100.0))
    assert not leading.is_due(moved, 100.5)
    assert leading.is_due(moved, 101.0)
    assert not leading.is_due(Plan(ValenceArousal(0.205, -0.1), song(100.0)), 101.0)
    assert leading.is_due(Plan(None, song(100.0)), 101.0)


def test_a_new_follower_is_told_at_once_and_a_flood_of_them_is_bounded() -> None:
    leading = Leading()
    plan = Plan(MOOD, None)
    leading.told(plan, 100.0)
    leading.asked("00000001", 100.1)
    assert leading.is_due(plan, 100.1)
    leading.told(plan, 100.1)
    leading.asked("00000001", 100.2)
    assert not leading.is_due(plan, 100.2)
    for number in range(10_000):
        leading.asked(f"{number:08x}", 100.3)
    leading.told(plan, 100.3)
    leading.asked("ffffffff", 100.4)
    assert not leading.is_due(plan, 100.4)


def test_a_skip_is_taken_once() -> None:
    leading = Leading()
    assert not leading.take_skip()
    leading.wants_skip()
    assert leading.take_skip()
    assert not leading.take_skip()
