"""What a node that follows plays, case by case: plans and its player's state in, advice out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from emomusic_edge.contracts import PlaybackStatus, Segment, ValenceArousal
from emomusic_edge.runtime.groups.clock_offset import Offset
from emomusic_edge.runtime.groups.companion import Advice, SharedSong
from emomusic_edge.runtime.groups.following import JOIN_S, OVER_S, PLAN_S, SKIP_S, Following, Plan

MOOD = ValenceArousal(0.2, -0.1)
AHEAD = Offset(1000.0, 0.002)
"""The leader's clock shows 1000 s more."""
SONG = SharedSong("a", 15.0, 45.0, at_s=1101.0)
HELD = Advice(target=MOOD, holds=True)
NOTHING = PlaybackStatus()


def playing(song_id: str, position_s: float, *, ended: bool = False) -> PlaybackStatus:
    return PlaybackStatus(Segment(song_id, 15.0, 25.0, 0.0, 0.0, Path("x.ogg"), 45.0), position_s, ended)


def following(song: SharedSong | None = SONG, *, now_s: float = 100.0) -> Following:
    made = Following("song")
    made.heard(Plan(MOOD, song), now_s)
    return made


def test_without_a_plan_one_goes_alone() -> None:
    assert Following("song").advise(NOTHING, 0.0, AHEAD) == Advice()
    made = following()
    assert made.advise(playing("a", 15.0), 100.0 + PLAN_S + 0.1, AHEAD) == Advice()
    made = following()
    made.forget()
    assert made.advise(NOTHING, 100.1, AHEAD) == Advice()


def test_the_leaders_song_is_played_at_its_time_on_the_own_clock() -> None:
    assert following().advise(NOTHING, 100.2, AHEAD) == replace(HELD, song=replace(SONG, at_s=101.0))


def test_a_song_that_is_in_step_is_left_alone() -> None:
    made = following()
    made.advise(NOTHING, 100.2, AHEAD)
    for now_s, position_s in ((100.3, 15.0), (101.0, 15.0), (104.0, 18.05), (114.9, 28.85)):
        assert made.advise(playing("a", position_s), now_s, AHEAD) == HELD


def test_a_song_out_of_step_is_played_anew_at_its_place_but_not_again_and_again() -> None:
    made = following()
    assert made.advise(playing("a", 20.0), 104.0, AHEAD).song is not None
    assert made.advise(playing("a", 20.1), 104.1, AHEAD) == HELD
    assert made.advise(playing("a", 25.0), 109.0, AHEAD).song is not None


def test_after_standing_aside_it_comes_in_at_once() -> None:
    made = following()
    made.advise(NOTHING, 100.2, AHEAD)
    made.stand_aside()
    assert made.advise(playing("a", 15.0), 102.0, AHEAD).song is not None


def test_a_song_that_is_nearly_over_is_not_joined() -> None:
    end_s = 101.0 + 30.0
    made = following(now_s=120.0)
    assert made.advise(NOTHING, end_s - JOIN_S - 0.1, AHEAD).song is not None
    made = following(now_s=120.0)
    assert made.advise(playing("b", 20.0), end_s - JOIN_S + 0.1, AHEAD) == HELD
    assert made.advise(playing("b", 20.0), end_s + OVER_S - 0.1, AHEAD) == HELD
    # The leader tells of no other: on with its mood.
    assert made.advise(playing("b", 20.0), end_s + OVER_S + 0.1, AHEAD) == Advice(target=MOOD)


@pytest.mark.parametrize("offset", [None, Offset(1000.0, 0.2)])
def test_with_clocks_that_are_not_known_well_enough_the_mood_is_followed(offset: Offset | None) -> None:
    assert following().advise(NOTHING, 100.2, offset) == Advice(target=MOOD)


def test_whoever_follows_only_the_mood_gets_no_song() -> None:
    made = Following("mood")
    made.heard(Plan(MOOD, SONG), 100.0)
    assert made.advise(NOTHING, 100.2, AHEAD) == Advice(target=MOOD)
    assert not made.pass_on_skip(100.2)


def test_a_leader_that_plays_nothing_gives_its_mood_and_one_that_seeks_nothing_gives_nothing() -> None:
    assert following(None).advise(NOTHING, 100.2, AHEAD) == Advice(target=MOOD)
    made = Following("song")
    made.heard(Plan(None, None), 100.0)
    assert made.advise(NOTHING, 100.2, AHEAD) == Advice()


def test_a_song_that_cannot_be_played_here_is_not_asked_for_again_but_the_next_is() -> None:
    made = following()
    made.advise(NOTHING, 100.2, AHEAD)
    made.refuse()
    # Told again with another rounding, it is the same.
    made.heard(Plan(MOOD, replace(SONG, at_s=SONG.at_s + 0.01)), 105.0)
    assert made.advise(NOTHING, 105.1, AHEAD) == Advice(target=MOOD)
    made.heard(Plan(MOOD, replace(SONG, at_s=SONG.at_s + 60.0)), 160.0)
    assert made.advise(NOTHING, 160.1, AHEAD).song is not None


def test_a_skip_is_the_leaders_while_its_song_plays() -> None:
    made = following()
    assert not made.pass_on_skip(100.1)  # not with it yet
    made.advise(NOTHING, 100.2, AHEAD)
    assert made.pass_on_skip(102.0)
    assert not made.skip_due(102.5)
    made.heard(Plan(MOOD, SharedSong("b", 0.0, 30.0, at_s=1104.0, at_once=True)), 103.0)
    assert not made.skip_due(103.1)
    assert not made.skip_due(102.0 + SKIP_S + 1.0)
    song = made.advise(playing("a", 17.0), 103.1, AHEAD).song
    assert song is not None
    assert song.song_id == "b"
    assert song.at_once


def test_a_skip_that_the_leader_does_not_hear_is_done_here_and_its_song_is_left() -> None:
    made = following()
    made.advise(NOTHING, 100.2, AHEAD)
    assert made.pass_on_skip(102.0)
    assert made.pass_on_skip(102.5)  # pressed again: the same wish
    assert not made.skip_due(102.0 + SKIP_S - 0.1)
    assert made.skip_due(102.0 + SKIP_S)
    assert not made.skip_due(102.0 + SKIP_S)
    assert made.advise(playing("a", 18.0), 104.1, AHEAD) == Advice(target=MOOD)
    assert not made.pass_on_skip(104.2)
