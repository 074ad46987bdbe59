"""Rooms of one group: the same songs in step, and whom a pause, a skip or a mode concerns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from group_home import SAD, SONG_S, STEP_S, Home, Room, made_index, together

from emomusic_edge.contracts import Mode, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment
from emomusic_edge.errors import ConfigError
from emomusic_edge.runtime.groups.messages import GroupSettings


@pytest.fixture
def home() -> Home:
    made = Home("song", "song")
    made.run(10.0)
    return made


def test_rooms_of_a_group_play_the_same_songs_in_step(home: Home) -> None:
    out_of_step_s = 0.0
    songs = set()

    def look() -> None:
        nonlocal out_of_step_s
        songs.add(home.leader.song and home.leader.song.song_id)
        out_of_step_s += 0.0 if together(*home.rooms) else STEP_S

    home.run(600.0, look)
    assert len(songs) > 5
    # From an announcement to the next step of the other room's loop.
    assert out_of_step_s <= 2 * STEP_S * len(songs)


def test_with_different_feelings_the_leaders_counts(home: Home) -> None:
    leader, follower = home.leader, home.follower
    assert leader.state is not None
    assert follower.state is not None
    assert leader.state.target == follower.state.target
    home.run(60.0)
    assert follower.state.chosen is not None
    assert follower.state.because == "group"
    assert leader.state.because is not None


def test_in_a_group_of_moods_each_room_has_its_songs_for_one_target() -> None:
    home = Home("mood", "mood", "song")
    home.run(30.0)
    targets = {room.state and room.state.target for room in home.rooms}
    assert targets == {Alignment(made_index()).to_music(home.leader.feels)}
    assert len({room.began_s for room in home.rooms}) > 1


def test_nobody_else_no_delay() -> None:
    home = Home("song")
    home.run(10.0)
    room = home.leader
    before = room.song
    room.music.skip()
    home.run(2 * STEP_S)
    assert room.song != before
    assert room.playback.position_s == pytest.approx(5 + STEP_S)


def test_a_skip_anywhere_is_for_all(home: Home) -> None:
    for room in (home.leader, home.follower):
        before = room.song
        room.music.skip()
        home.run(3.0)
        assert room.song != before
        assert together(*home.rooms)


def test_a_paused_room_is_left_alone_and_comes_in_where_the_others_are(home: Home) -> None:
    follower = home.follower
    follower.music.pause(follower.now_s())
    at_s = follower.playback.position_s
    home.run(9.0)
    assert follower.playback.paused
    assert follower.playback.position_s == at_s
    follower.music.resume(follower.now_s())
    home.run(2 * STEP_S)
    assert together(*home.rooms)


def test_a_leader_that_is_paused_or_switched_off_is_obeyed_and_another_leads(home: Home) -> None:
    first, second = home.leader, home.follower
    first.music.set_mode(Mode.OFF)
    home.run(5.0)
    assert home.leader is second
    assert first.song is None
    assert second.song is not None
    first.music.set_mode(Mode.MIRROR)
    home.run(30.0)
    assert home.leader is second
    assert together(first, second)
    second.music.pause(second.now_s())
    home.run(5.0)
    assert home.leader is first
    assert second.playback.paused


def test_a_mood_set_by_hand_is_played_and_moves_no_other_room(home: Home) -> None:
    leader, follower = home.leader, home.follower
    follower.music.set_mode(Mode.MANUAL)
    follower.music.set_mood(valence=-2.5, arousal=1.0)
    home.run(60.0)
    assert follower.state is not None
    assert leader.state is not None
    assert follower.state.target == Alignment(made_index()).to_music(ValenceArousal(-2.5, 1.0))
    assert follower.song != leader.song
    assert home.leader is leader


def test_the_lead_goes_to_the_room_where_somebody_is(home: Home) -> None:
    first, second = home.leader, home.follower
    first.seen = False
    home.run(30.0)
    assert home.leader is second
    assert together(first, second)
    home.run(3 * SONG_S)
    assert home.leader is second


def test_a_room_without_the_song_follows_the_mood() -> None:
    home = Home("song", "song", songs_of_last=10)
    # The room that has all songs leads.
    home.rooms[1].seen = False
    home.run(20.0)
    leader, follower = home.leader, home.follower
    assert leader is home.rooms[0]
    have = {f"s{row}" for row in range(10)}
    common = set()
    for _ in range(20):
        home.run(SONG_S / 2)
        assert leader.song is not None
        assert follower.song is not None
        assert follower.song.song_id in have
        assert follower.state is not None
        assert leader.state is not None
        assert follower.state.target == leader.state.target
        if leader.song.song_id in have:
            common.add(together(leader, follower))
    assert common <= {True}


def test_another_song_of_the_same_id_is_not_played_in_its_place() -> None:
    home = Home("song")
    home.run(10.0)
    index = replace(made_index(), song_end_s=np.full(40, 77.0, np.float32))
    other = Room(home, 9, "song", 5.0, index, SAD)
    home.rooms.append(other)
    home.run(10.0)
    assert other.song is not None
    assert other.song.song_end_s == 77.0
    assert other.state is not None
    assert home.leader.state is not None
    assert other.state.target == home.leader.state.target


def test_a_room_that_joins_is_in_step_within_seconds(home: Home) -> None:
    home.rooms.append(Room(home, 3, "song", 3.0, made_index(), ValenceArousal(0.0, 1.0)))
    home.run(3.0)
    assert together(*home.rooms)


def test_a_group_needs_a_name_that_fits_into_a_topic() -> None:
    with pytest.raises(ConfigError, match=r"group\.name is 'a/b'; expected 1 to 64 of a-z") as caught:
        GroupSettings("a/b")
    assert "downstairs" in (caught.value.mend or "")
