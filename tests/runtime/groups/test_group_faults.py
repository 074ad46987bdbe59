"""Rooms of one group when the line, a leader or a message fails; and what goes over the line at all."""

from __future__ import annotations

import pytest
from group_home import SONG_S, STEP_S, Home, together
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emomusic_edge.contracts import Mode
from emomusic_edge.runtime.groups.election import EXPIRES_S


@pytest.fixture
def home() -> Home:
    made = Home("song", "song")
    made.run(10.0)
    return made


def test_a_skip_that_the_leader_cannot_hear_is_for_this_room_alone(home: Home) -> None:
    leader, follower = home.leader, home.follower
    leader.online = False
    before = leader.song
    follower.music.skip()
    home.run(2.5)
    assert follower.song != before
    assert leader.song == before


def test_a_skip_while_the_line_is_away_for_a_moment_is_for_this_room_alone(home: Home) -> None:
    leader, follower = home.leader, home.follower
    before = leader.song
    follower.online = False
    follower.music.skip()
    home.run(2 * STEP_S)
    alone = follower.song
    assert alone != before
    follower.connect()
    home.run(5.0)
    assert (leader.song, follower.song) == (before, alone)


def test_without_the_broker_the_music_goes_on_and_afterwards_all_is_as_before(home: Home) -> None:
    songs: list[set[str]] = [set(), set()]

    def look() -> None:
        for room, heard in zip(home.rooms, songs, strict=True):
            assert room.song is not None
            heard.add(room.song.song_id)

    for room in home.rooms:
        room.online = False
    home.run(4 * SONG_S, look)
    assert min(map(len, songs)) >= 3
    for room in home.rooms:
        room.connect()
    home.run(EXPIRES_S + 10.0, look)
    assert home.leader in home.rooms
    assert together(*home.rooms)


def test_a_leader_that_vanishes_is_replaced_and_its_song_plays_on(home: Home) -> None:
    first, second = home.leader, home.follower
    song, began_s = second.song, second.began_s
    home.rooms.remove(first)
    home.run(EXPIRES_S)
    assert home.leader is second
    assert second.song == song
    assert second.began_s == pytest.approx(began_s)


def test_leaving_hands_the_lead_over(home: Home) -> None:
    first, second = home.leader, home.follower
    first.group.leaving(first)
    home.rooms.remove(first)
    home.run(3.0)
    assert home.leader is second


def test_on_mqtt_3_where_one_hears_what_one_says_all_is_the_same() -> None:
    home = Home("song", "song")
    home.echoes = True
    home.run(10.0)
    leader = home.leader
    home.run(120.0)
    assert home.leader is leader
    home.run(3.0)
    assert together(*home.rooms)
    leader.music.set_mode(Mode.OFF)
    home.run(5.0)
    assert home.leader is not leader


def test_what_is_told_stays_little(home: Home) -> None:
    home.told.clear()
    home.run(600.0)
    kinds = [topic.split("/")[2] for _, topic in home.told]
    per_minute = {kind: kinds.count(kind) / 10 for kind in set(kinds)}
    assert per_minute["leader"] <= 16
    assert per_minute["plan"] <= 14
    assert per_minute["ask"] == per_minute["answer"] <= 13


def test_no_feeling_is_kept(home: Home) -> None:
    assert list(home.retained) == ["emomusic-group/home/leader"]
    assert b"target" not in home.retained["emomusic-group/home/leader"]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"run": 1}', b'{"run":"0000000g","node":"x","term":1}', b"9" * 10_000],
)
def test_nonsense_on_its_topics_does_no_harm(home: Home, payload: bytes, caplog: pytest.LogCaptureFixture) -> None:
    leader = home.leader
    for room in home.rooms:
        for topic in room.subscriptions:
            room.hear(topic, payload)
    home.run(5.0)
    assert home.leader is leader
    assert together(*home.rooms)


def test_a_term_beyond_all_is_refused_and_a_forged_answer_is_not_believed(home: Home) -> None:
    leader, follower = home.leader, home.follower
    follower.hear("emomusic-group/home/leader", b'{"run":"ffffffff","node":"x","term":99999999999}')
    run = follower.group._run
    answer = b'{"run":"%s","question":999,"clock_s":5.0}' % leader.group._run.encode()
    follower.hear(f"emomusic-group/home/answer/{run}", answer)
    home.run(5.0)
    assert home.leader is leader
    assert together(*home.rooms)


@settings(max_examples=20, deadline=None)
@given(
    events=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(["skip", "pause", "resume", "off", "mirror", "manual", "away", "back", "unseen", "seen"]),
            st.floats(0.0, 20.0),
        ),
        max_size=12,
    )
)
@example(events=[(0, "pause", 0.0), (0, "off", 0.0), (0, "mirror", 1.0)])
def test_whatever_people_do_a_room_that_wants_music_has_it_and_in_the_end_all_are_together(
    events: list[tuple[int, str, float]],
) -> None:
    home = Home("song", "song", "song")

    def nobody_is_left_without() -> None:
        for room in home.rooms:
            # A room that is paused asks for nothing: put off and on again meanwhile, it has no song until it resumes.
            if room.seen and room.music.mode is not Mode.OFF and not room.playback.paused:
                assert room.song is not None
                # It ends a moment late at most: a group's song is waited for.
                assert room.began_s > home.now_s - 5 - SONG_S - 2.5

    home.run(5.0, nobody_is_left_without)
    for number, what, seconds in events:
        room = home.rooms[number]
        if what == "skip":
            room.music.skip()
        elif what == "pause":
            room.music.pause(room.now_s())
        elif what == "resume":
            room.music.resume(room.now_s())
        elif what in ("off", "mirror", "manual"):
            room.music.set_mode(Mode(what))
        elif what == "back":
            room.connect()
        elif what == "away":
            room.online = False
        else:
            room.seen = what == "seen"
        home.run(STEP_S)
        home.run(seconds, nobody_is_left_without)
    for room in home.rooms:
        room.seen = True
        room.music.resume(room.now_s())
        room.music.set_mode(Mode.MIRROR)
        room.connect()
    home.run(EXPIRES_S + SONG_S, nobody_is_left_without)
    assert home.leader in home.rooms
    # A song may start in this very moment.
    if not together(*home.rooms):
        home.run(3.0)
    assert together(*home.rooms)
