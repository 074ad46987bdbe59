"""The roster: what becomes of each message, and that no message from outside can do harm."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.runtime.fleet import roster as roster_module
from emomusic_edge.runtime.fleet.reading import MAX_ENTRIES, MAX_TEXT_CHARACTERS
from emomusic_edge.runtime.fleet.roster import SETTLED_AFTER_S, SILENT_AFTER_S, Node, Roster
from emomusic_edge.runtime.mqtt.line import Received

HEALTH = {"version": "0.5.0", "status": "ok", "reasons": {}, "models": {}, "unheard_of": [1, 2]}
STATE = {"mode": "mirror", "camera_on": True, "mood": "pleasure", "frames_per_second": 9.9}
MUSIC = {"song": {"title": "Evening window"}, "paused": False}


def hear(roster: Roster, topic: str, payload: object, now_s: float = 0.0, *, retained: bool = False) -> None:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    roster.hear(Received(f"emomusic/{topic}", raw, retained), now_s)


def only(roster: Roster) -> Node:
    (node,) = roster.nodes()
    return node


def test_a_device_is_put_together_from_what_it_tells() -> None:
    roster = Roster()
    hear(roster, "kitchen/availability", b"online", 0.0, retained=True)
    hear(roster, "kitchen/health", HEALTH, 1.0)
    hear(roster, "kitchen/state", STATE, 2.0)
    assert not only(roster).told_all
    hear(roster, "kitchen/music", MUSIC, 3.0)
    node = only(roster)
    assert node.told_all
    assert node.health is not None
    assert node.health.version == "0.5.0"
    assert node.state is not None
    assert (node.state.mode, node.state.frames_per_second) == ("mirror", 9.9)
    assert node.music is not None
    assert node.music.song is not None
    assert (node.music.song.title, node.heard_s) == ("Evening window", 3.0)
    assert roster.unreadable == 0


def test_silent_offline_and_unknown_are_told_apart() -> None:
    roster = Roster()
    hear(roster, "kitchen/availability", b"online")
    hear(roster, "kitchen/state", STATE, 5.0)
    assert only(roster).standing(5.0 + SILENT_AFTER_S) == "online"
    assert only(roster).standing(5.1 + SILENT_AFTER_S) == "silent"
    hear(roster, "kitchen/availability", b"offline", 31.0)
    assert only(roster).standing(31.0) == "offline"
    stranger = Roster()
    hear(stranger, "hall/state", STATE)
    assert only(stranger).standing(0.0) == "unknown"


def test_of_a_device_that_is_offline_its_version_alone_is_believed() -> None:
    roster = Roster()
    hear(roster, "kitchen/availability", b"online")
    hear(roster, "kitchen/health", HEALTH | {"reasons": {"camera": "gone"}})
    hear(roster, "kitchen/state", STATE)
    hear(roster, "kitchen/availability", b"offline")
    node = only(roster)
    assert node.health is not None
    assert (node.health.version, node.health.reasons, node.state) == ("0.5.0", {}, None)
    assert node.told_all


def test_how_long_a_device_is_online_comes_from_its_claim_or_from_having_watched() -> None:
    roster = Roster()
    hear(roster, "kitchen/availability", b"online", 0.0)
    assert only(roster).online_since_s is None
    hear(roster, "kitchen/claim", {"run": "00ff00ff", "uptime_s": 100.0}, 10.0)
    assert only(roster).online_since_s == -90.0
    hear(roster, "kitchen/health", {"uptime_s": 104.0}, 12.0)
    assert only(roster).online_since_s == -92.0
    hear(roster, "kitchen/health", {"version": "of one that does not tell it"}, 13.0)
    assert only(roster).online_since_s == -92.0
    hear(roster, "kitchen/availability", b"offline", 20.0)
    hear(roster, "kitchen/availability", b"online", 30.0)
    hear(roster, "hall/availability", b"online", 40.0)
    assert [node.online_since_s for node in roster.nodes()] == [40.0, 30.0]
    hear(roster, "hall/availability", b"online", 50.0)
    assert roster.nodes()[0].online_since_s == 40.0


def test_a_name_that_was_given_up_is_forgotten() -> None:
    roster = Roster()
    hear(roster, "kitchen/availability", b"online")
    hear(roster, "kitchen/availability", b"")
    assert roster.nodes() == ()


def test_it_is_complete_when_all_that_are_online_told_everything_and_nobody_else_turns_up() -> None:
    roster = Roster()
    assert not roster.complete(100.0)
    hear(roster, "attic/availability", b"offline", 0.0)
    hear(roster, "hall/availability", b"online", 0.1)
    assert not roster.complete(60.0)
    for topic, payload in {"health": HEALTH, "state": STATE, "music": MUSIC}.items():
        hear(roster, f"hall/{topic}", payload, 0.2)
    assert not roster.complete(0.1 + SETTLED_AFTER_S / 2)
    assert roster.complete(0.1 + SETTLED_AFTER_S)


def test_names_are_in_the_order_in_which_people_count() -> None:
    roster = Roster()
    for name in ("room-10", "hall", "room-2", "room-02", "2nd", "room", "room-2-b"):
        hear(roster, f"{name}/availability", b"online")
    names = [node.name for node in roster.nodes()]
    assert names.index("room-2") < names.index("room-10")
    assert sorted(names) == sorted({"room-10", "hall", "room-2", "room-02", "2nd", "room", "room-2-b"})


def test_what_was_retained_against_the_rule_tells_nothing_about_now() -> None:
    roster = Roster()
    hear(roster, "kitchen/availability", b"online", retained=True)
    hear(roster, "kitchen/state", STATE, retained=True)
    assert only(roster).state is None


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("kitchen/availability", b"perhaps"),
        ("kitchen/availability", b"\xff\xfe"),
        ("kitchen/health", b"{"),
        ("kitchen/health", b"[]"),
        ("kitchen/health", b"\xff"),
        ("kitchen/health", b"[" * 5000),
        ("kitchen/health", {"thermal": {"temperature_c": 1e300}}),
        ("kitchen/state", b'{"frames_per_second": NaN}'),
        ("kitchen/state", {"frames_per_second": -1}),
        ("kitchen/state", {"mode": ["mirror"]}),
        ("kitchen/claim", {"uptime_s": -1}),
        ("kitchen\x1b[2J/availability", b"online"),
        ("a/b/availability", b"online"),
        ("k" * 65 + "/availability", b"online"),
    ],
)
def test_what_cannot_be_read_is_counted_and_changes_nothing(topic: str, payload: object) -> None:
    roster = Roster()
    hear(roster, topic, payload)
    assert roster.nodes() == ()
    assert roster.unreadable == 1


def test_text_from_outside_is_cut_and_cannot_steer_a_terminal() -> None:
    roster = Roster()
    reasons = {f"part{number}": "\x1b[31mred\x07\r\n\u202e" + "x" * 1000 for number in range(100)}
    hear(roster, "kitchen/health", HEALTH | {"reasons": reasons})
    health = only(roster).health
    assert health is not None
    assert len(health.reasons) == MAX_ENTRIES
    assert all(reason.isprintable() and len(reason) <= MAX_TEXT_CHARACTERS for reason in health.reasons.values())


def test_devices_beyond_the_bound_are_counted_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_module, "MAX_NODES", 2)
    roster = Roster()
    for name in ("a", "b", "c", "a"):
        hear(roster, f"{name}/state", STATE)
    assert ([node.name for node in roster.nodes()], roster.left_out) == (["a", "b"], 1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
fields = st.sampled_from(["version", "reasons", "models", "pace", "thermal", "mode", "mood", "song", "ok", "uptime_s"])


@given(
    topic=st.sampled_from(["availability", "health", "state", "music", "claim", "else"]),
    payload=st.binary(max_size=64)
    | st.dictionaries(fields, json_values, max_size=5).map(lambda d: json.dumps(d).encode()),
)
def test_no_message_raises(topic: str, payload: bytes) -> None:
    roster = Roster()
    hear(roster, f"kitchen/{topic}", payload)
    assert roster.unreadable + len(roster.nodes()) <= 1
