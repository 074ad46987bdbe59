"""The table and the documents: what is shown, what is kept back, and who stands first where not all fit."""

from __future__ import annotations

import io
import json
from datetime import datetime, timezone

import pytest
from rich.console import Console, RenderableType

from emomusic_edge.runtime.fleet.document import errand_document, fleet_document
from emomusic_edge.runtime.fleet.errand import Outcome
from emomusic_edge.runtime.fleet.roster import Roster
from emomusic_edge.runtime.fleet.table import MOOD_NOTE, duration, errand_view, fleet_view
from emomusic_edge.runtime.mqtt.line import Received

AT = datetime(2026, 11, 22, 22, 5, 7, tzinfo=timezone.utc)


def told(roster: Roster, node: str, now_s: float = 0.0, **health: object) -> None:
    messages: dict[str, object] = {
        "health": {
            "version": "0.5.0",
            "models": {"face": {"name": "face-starter", "provider": "CPUExecutionProvider"}},
            "thermal": {"temperature_c": 48.2},
            "pace": {"frames_per_second": 10.0, "limited_by": "none"},
            **health,
        },
        "state": {"mode": "mirror", "camera_on": True, "mood": "pleasure", "frames_per_second": 9.94},
        "music": {"song": {"title": "Evening window"}, "paused": False},
    }
    roster.hear(Received(f"emomusic/{node}/availability", b"online", retained=True), now_s)
    for topic, message in messages.items():
        roster.hear(Received(f"emomusic/{node}/{topic}", json.dumps(message).encode()), now_s)


def drawn(view: RenderableType, *, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_row_holds_what_somebody_who_looks_after_devices_needs() -> None:
    roster = Roster()
    told(roster, "kitchen")
    text = drawn(fleet_view(roster, 3.0, where="broker:8883"))
    for word in ("kitchen", "yes", "0.5.0", "ok", "mirror", "9.9", "48", "CPU", "3 s ago", "1 node"):
        assert word in text
    assert "ExecutionProvider" not in text


def test_moods_and_the_songs_that_follow_them_are_kept_back_until_asked_for() -> None:
    roster = Roster()
    told(roster, "kitchen")
    kept_back = drawn(fleet_view(roster, 0.0, where="broker"))
    assert not [word for word in ("pleasure", "mood", "Evening window", "song") if word in kept_back]
    shown = drawn(fleet_view(roster, 0.0, where="broker", moods=True))
    assert "pleasure" in shown
    assert "Evening window" in shown
    assert MOOD_NOTE in shown
    (node,) = fleet_document(roster, 0.0, AT, where="broker")["nodes"]
    assert not {"mood", "song"} & set(node)
    (node,) = fleet_document(roster, 0.0, AT, where="broker", moods=True)["nodes"]
    assert (node["mood"], node["song"]) == ("pleasure", "Evening window")


def test_those_in_trouble_stand_first_where_not_all_fit() -> None:
    roster = Roster()
    for number in range(30):
        told(roster, f"room-{number}")
    told(roster, "room-27", reasons={"camera": "no picture for 5 s", "audio": "no device"})
    roster.hear(Received("emomusic/room-29/availability", b"offline"), 1.0)
    text = drawn(fleet_view(roster, 1.0, where="broker", height=12))
    assert "camera +1" in text
    assert "room-27: camera: no picture for 5 s" in text
    assert "room-27: audio: no device" in text
    assert "offline" in text
    assert "27 more do not fit" in text
    assert "30 nodes, 29 online, 1 of them with a reason in health, 1 offline" in text
    assert len(text.splitlines()) == 12


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_it_keeps_to_the_width_of_the_terminal_and_printed_it_cuts_no_reason(width: int) -> None:
    roster = Roster()
    told(roster, "a-device-with-a-rather-long-name-in-a-large-house", reasons={"camera": "long " * 25 + "end"})
    printed = drawn(fleet_view(roster, 0.0, where="broker", width=width), width=width)
    assert max(map(len, printed.splitlines())) <= width
    assert "end" in printed
    live = drawn(fleet_view(roster, 0.0, where="broker", width=width, height=9), width=width)
    assert len(live.splitlines()) == 8


def test_markup_and_escapes_from_outside_are_only_text() -> None:
    roster = Roster()
    told(roster, "kitchen", version="[red]1[/red]", reasons={"camera": "[bold]x[/bold] \x1b]0;title\x07"})
    text = drawn(fleet_view(roster, 0.0, where="broker"), width=200)
    assert "[red]1[/red]" in text
    assert "[bold]x[/bold]" in text
    assert "\x1b]0" not in text
    outcome = Outcome("kitchen", "refused", "[blink]no[/blink]", 3.0)
    assert "[blink]no[/blink]" in drawn(errand_view([outcome]))


def test_trouble_and_what_could_not_be_read_are_told() -> None:
    roster = Roster()
    roster.hear(Received("emomusic/kitchen/state", b"{"), 0.0)
    text = drawn(fleet_view(roster, 0.0, where="broker", trouble="broker went away"))
    assert "1 unreadable message" in text
    assert "broker went away" in text


def test_the_document_is_json_and_says_whether_it_is_whole() -> None:
    roster = Roster()
    told(roster, "kitchen", 0.0)
    document = json.loads(json.dumps(fleet_document(roster, 2.5, AT, where="broker:8883")))
    assert document["complete"]
    assert document["at"] == "2026-11-22T22:05:07+00:00"
    (node,) = document["nodes"]
    assert node["heard_s_ago"] == 2.5
    assert node["models"] == {"face": {"name": "face-starter", "provider": "CPUExecutionProvider"}}
    assert (node["standing"], node["temperature_c"]) == ("online", 48.2)


def test_outcomes_are_told_one_by_one() -> None:
    outcomes = [Outcome("hall", "ok", "", 12.34), Outcome("attic", "offline"), Outcome("cellar", "silent")]
    text = drawn(errand_view(outcomes))
    assert [line.split()[0] for line in text.splitlines()] == ["hall", "attic", "cellar"]
    assert "offline, not asked" in text
    assert "no answer" in text
    assert errand_document("pause", outcomes)["nodes"][0] == {
        "node": "hall",
        "answer": "ok",
        "reason": "",
        "took_ms": 12.3,
    }


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7300, "2 h"), (200_000, "2 d"), (-1, "0 s")]
)
def test_durations_are_short(seconds: float, words: str) -> None:
    assert duration(seconds) == words
