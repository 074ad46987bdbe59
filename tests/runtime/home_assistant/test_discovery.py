"""The extension that speaks to Home Assistant: what it announces, when it tells anew, and what it takes back."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording_line import RecordingLine, tell
from sample_snapshot import SNAPSHOT
from schema_rules import violations

from emomusic_edge.runtime.home_assistant import components as entities
from emomusic_edge.runtime.home_assistant.discovery import MAX_JITTER_S, HomeAssistantDiscovery
from emomusic_edge.runtime.home_assistant.document import discovery_topic
from emomusic_edge.runtime.home_assistant.remembered import RememberedFile
from emomusic_edge.runtime.mqtt.broker import BrokerSettings

KITCHEN = discovery_topic("homeassistant", "kitchen")
ATTIC = discovery_topic("homeassistant", "attic")
LONG_S = 60.0


def discovery(file: Path, node: str = "kitchen", *, device_id: str = "", **others: Any) -> HomeAssistantDiscovery:
    settings = BrokerSettings(node=node, device_id=device_id)
    return HomeAssistantDiscovery(
        settings, version="1.2.3", file=RememberedFile(file), jitter=random.Random(1), **others
    )


def run(one: HomeAssistantDiscovery, line: RecordingLine, *, from_s: float = 0.0, to_s: float = LONG_S) -> list[float]:
    """One connection, as the publisher leads it; the times at which all is to be told anew."""
    one.before_online(line)
    line.subscribe(one.subscriptions())
    return steps(one, line, from_s, to_s)


def born(one: HomeAssistantDiscovery, line: RecordingLine, at_s: float = LONG_S) -> list[float]:
    """Home Assistant starts; the times at which all is told anew."""
    tell(one.subscriptions(), "homeassistant/status", b"online")
    return steps(one, line, at_s, at_s + LONG_S)


def steps(one: HomeAssistantDiscovery, line: RecordingLine, from_s: float, to_s: float) -> list[float]:
    tenths = range(round(from_s * 10), round(to_s * 10) + 1)
    return [tenth / 10 for tenth in tenths if one.step(SNAPSHOT, tenth / 10, line)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home-assistant.json"


def test_the_device_is_announced_before_it_is_online(file: Path) -> None:
    line = RecordingLine()
    one = discovery(file)
    one.before_online(line)
    assert list(line.kept) == [KITCHEN]
    assert json.loads(line.kept[KITCHEN])["device"]["sw_version"] == "1.2.3"


def test_a_device_that_is_new_there_tells_all_again_once_it_is_listened_to(file: Path) -> None:
    line, one = RecordingLine(), discovery(file)
    assert len(run(one, line)) == 1
    assert run(one, line, from_s=2 * LONG_S, to_s=3 * LONG_S) == []
    assert run(discovery(file), line) == []


def test_a_start_of_home_assistant_is_answered_once_after_a_moment(file: Path) -> None:
    line, one = RecordingLine(), discovery(file)
    run(one, line, to_s=10.0)
    for payload in (b"offline", b"online", b"online"):
        tell(one.subscriptions(), "homeassistant/status", payload)
    (at_s,) = steps(one, line, 10.0, LONG_S)
    assert 10.0 < at_s <= 10.0 + MAX_JITTER_S
    assert steps(one, line, LONG_S, 2 * LONG_S) == []
    tell(one.subscriptions(), "homeassistant/status", b"online")
    assert len(steps(one, line, 2 * LONG_S, 3 * LONG_S)) == 1


def test_many_devices_do_not_answer_at_once(tmp_path: Path) -> None:
    """Each of a thousand waits its own time."""
    waits = []
    for seed in range(1000):
        settings = BrokerSettings(node="kitchen")
        file = RememberedFile(tmp_path / "one.json")
        one = HomeAssistantDiscovery(settings, version="1", file=file, jitter=random.Random(seed))
        tell(one.subscriptions(), "homeassistant/status", b"online")
        waits.append(steps(one, RecordingLine(), 0.0, LONG_S)[0])
    busiest = max(waits.count(wait) for wait in set(waits))
    assert busiest < 50  # of the 50 tenths of a second in which 1,000 answer, 20 each on average


def test_what_the_line_did_not_take_is_told_again(file: Path) -> None:
    line, one = RecordingLine(), discovery(file)
    line.full = True
    assert run(one, line) != []
    line.full = False
    one.before_online(line)
    assert KITCHEN in line.kept
    assert steps(one, line, LONG_S, 2 * LONG_S) == []


def test_a_document_of_another_in_our_place_is_answered_with_ours(file: Path, tmp_path: Path) -> None:
    discovery(file)  # a run before this one
    line, one = RecordingLine(), discovery(file)
    run(one, line, to_s=1.0)
    other = RecordingLine()
    discovery(tmp_path / "other.json").before_online(other)
    tell(one.subscriptions(), KITCHEN, other.kept[KITCHEN], retained=True)
    assert len(steps(one, line, 1.0, LONG_S)) == 1


def test_a_device_deleted_in_home_assistant_is_not_forced_back(file: Path) -> None:
    discovery(file)  # a run before this one
    line, one = RecordingLine(), discovery(file)
    run(one, line, to_s=1.0)
    tell(one.subscriptions(), KITCHEN, b"", retained=True)
    tell(one.subscriptions(), KITCHEN, line.kept[KITCHEN], retained=True)  # our own, as MQTT 3.1.1 brings it back
    assert steps(one, line, 1.0, LONG_S) == []


def test_entities_of_a_former_version_are_told_to_be_gone_and_then_no_more(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = entities._asked
    former = {"platform": "button", "name": "Rewind", "command_topic": "emomusic/kitchen/cmd/rewind"}
    with monkeypatch.context() as patched:
        patched.setattr(entities, "_asked", lambda settings: [*asked(settings), former])
        discovery(file).before_online(RecordingLine())
    line, one = RecordingLine(), discovery(file)
    run(one, line)
    first, second = (json.loads(payload)["components"] for _, payload in line.said)
    assert first.pop("button_rewind") == {"platform": "button"}
    assert first == second
    # Home Assistant may have been off: it is told once more when it starts, and that ends it.
    assert len(born(one, line)) == 1
    moment = json.loads(line.for_a_moment[KITCHEN])
    assert violations(KITCHEN, moment) == []
    assert moment["components"]["button_rewind"]["unique_id"] == "emomusic_kitchen_rewind"
    assert moment["components"].keys() == {*second, "button_rewind"}
    assert "button_rewind" not in json.loads(line.kept[KITCHEN])["components"]
    one.leaving(line)
    line = RecordingLine()
    discovery(file).before_online(line)
    assert len(line.said) == 1


def test_a_name_given_up_is_cleared(file: Path) -> None:
    kept = {"emomusic/kitchen/availability": b"offline"}
    discovery(file).before_online(RecordingLine(kept))
    one, line = discovery(file, "attic"), RecordingLine(kept)
    run(one, line)
    assert list(kept) == [ATTIC]
    assert line.for_a_moment == {}
    # Home Assistant may have been off: at its start it is told once what is gone, and then that it is gone.
    (at_s,) = born(one, line)
    assert at_s > LONG_S + 5.0
    moment = json.loads(line.for_a_moment.pop(KITCHEN))
    assert violations(KITCHEN, moment) == []
    assert moment["components"].keys() == json.loads(kept[ATTIC])["components"].keys()
    assert line.said[-1] == (KITCHEN, b"")
    assert len(born(one, line, 3 * LONG_S)) == 1
    assert line.for_a_moment == {}
    one.leaving(line)
    assert [s.pattern for s in discovery(file, "attic").subscriptions()] == ["homeassistant/status", ATTIC]


def test_another_name_of_the_same_device_keeps_its_document_and_its_entities(file: Path) -> None:
    """Only the former name's availability is cleared: nothing is removed in Home Assistant, now or at its start."""
    kept = {"emomusic/kitchen/availability": b"offline"}
    discovery(file, device_id="5f0c").before_online(RecordingLine(kept))
    place = discovery_topic("homeassistant", "5f0c")
    before = json.loads(kept[place])
    one, line = discovery(file, "attic", device_id="5f0c"), RecordingLine(kept)
    assert len(run(one, line)) == 1  # Home Assistant listens to the new topics only once it has read of them
    after = json.loads(kept[place])
    assert list(kept) == [place]
    assert after["device"]["identifiers"] == before["device"]["identifiers"] == ["emomusic_5f0c"]
    assert (before["device"]["name"], after["device"]["name"]) == ("Emomusic kitchen", "Emomusic attic")
    ids = [{name: entity["unique_id"] for name, entity in one["components"].items()} for one in (before, after)]
    assert ids[0] == ids[1]
    assert after["availability_topic"] == "emomusic/attic/availability"
    born(one, line)
    assert line.for_a_moment == {}
    one.leaving(line)
    assert [s.pattern for s in discovery(file, "attic", device_id="5f0c").subscriptions()] == [
        "homeassistant/status",
        place,
    ]


def test_a_device_that_was_known_by_its_name_is_known_by_its_id_from_then_on(file: Path) -> None:
    kept = {"emomusic/kitchen/availability": b"online"}
    discovery(file).before_online(RecordingLine(kept))
    told = json.loads(file.read_text())
    del told["current"]["device"]  # as a version wrote it that knew no other
    file.write_text(json.dumps(told))
    one, line = discovery(file, device_id="5f0c"), RecordingLine(kept)
    run(one, line)
    # The document of the name goes, the availability is still ours.
    assert kept.keys() == {"emomusic/kitchen/availability", discovery_topic("homeassistant", "5f0c")}


def test_two_devices_with_one_id_do_not_answer_each_other_for_ever(file: Path, tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}
    place = discovery_topic("homeassistant", "5f0c")
    devices = [discovery(file, device_id="5f0c"), discovery(tmp_path / "other.json", "attic", device_id="5f0c")]
    lines = [RecordingLine(kept), RecordingLine(kept)]
    for one, line in zip(devices, lines, strict=True):
        run(one, line, to_s=3.0)
    told = [len(line.said) for line in lines]
    # The second one's document was heard by the first.
    tell(devices[0].subscriptions(), place, kept[place])
    for tenth in range(30, 1200):
        for here, there in ((0, 1), (1, 0)):
            said = len(lines[here].said)
            if devices[here].step(SNAPSHOT, tenth / 10, lines[here]):
                devices[here].before_online(lines[here])
            for topic, payload in lines[here].said[said:]:
                tell(devices[there].subscriptions(), topic, payload)
    assert [len(line.said) - before for line, before in zip(lines, told, strict=True)] == [1, 1]
    assert "announces itself to Home Assistant as '5f0c' too" in devices[0].reason
    assert "mqtt.device_id" in devices[0].reason


def test_one_that_had_our_id_for_a_moment_is_no_trouble(file: Path, tmp_path: Path) -> None:
    place = discovery_topic("homeassistant", "5f0c")
    other = RecordingLine()
    discovery(tmp_path / "other.json", "attic", device_id="5f0c").before_online(other)
    one, line = discovery(file, device_id="5f0c"), RecordingLine()
    run(one, line, to_s=3.0)
    for round_s in (3.0, 100.0, 200.0):
        tell(one.subscriptions(), place, other.kept[place])
        assert len(steps(one, line, round_s, round_s + LONG_S)) == 1
    assert one.reason == ""


def test_what_is_told_for_a_moment_and_comes_back_is_not_taken_for_kept(file: Path) -> None:
    """As over MQTT 3.1.1, which knows no way to leave out one's own."""
    discovery(file).before_online(RecordingLine())
    one, line = discovery(file, "attic"), RecordingLine()
    run(one, line)
    tell(one.subscriptions(), "homeassistant/status", b"online")
    steps(one, line, LONG_S, LONG_S + MAX_JITTER_S)
    said = len(line.said)
    tell(one.subscriptions(), KITCHEN, line.for_a_moment[KITCHEN])
    steps(one, line, LONG_S + MAX_JITTER_S, LONG_S + MAX_JITTER_S + 0.1)
    assert len(line.said) == said


def test_a_run_that_broke_off_is_cleared_once_its_will_has_come(file: Path) -> None:
    availability = "emomusic/kitchen/availability"
    kept = {availability: b"online"}
    discovery(file).before_online(RecordingLine(kept))
    one, line = discovery(file, "attic"), RecordingLine(kept)
    run(one, line, to_s=4.0)
    assert KITCHEN in kept
    kept[availability] = b"offline"
    tell(one.subscriptions(), availability, b"offline", retained=True)
    steps(one, line, 4.1, 4.2)
    assert list(kept) == [ATTIC]


def test_a_name_that_another_device_took_is_left_to_it(file: Path, tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}
    discovery(file).before_online(RecordingLine(kept))
    discovery(tmp_path / "other.json").before_online(RecordingLine(kept))
    kept["emomusic/kitchen/availability"] = b"offline"
    one, line = discovery(file, "attic"), RecordingLine(kept)
    run(one, line)
    born(one, line)
    assert kept.keys() == {KITCHEN, ATTIC, "emomusic/kitchen/availability"}
    assert line.for_a_moment == {}
    one.leaving(line)
    assert len(discovery(file, "attic").subscriptions()) == 2


def test_another_prefix_clears_the_old_one_and_leaves_the_name_online(file: Path) -> None:
    kept = {"emomusic/kitchen/availability": b"online"}
    discovery(file).before_online(RecordingLine(kept))
    run(discovery(file, prefix="ha/attic"), RecordingLine(kept))
    assert kept.keys() == {discovery_topic("ha/attic", "kitchen"), "emomusic/kitchen/availability"}


def test_switched_off_it_takes_back_what_it_announced_and_stays_silent(file: Path) -> None:
    kept = {"emomusic/kitchen/availability": b"online"}
    discovery(file).before_online(RecordingLine(kept))
    one, line = discovery(file, announces=False), RecordingLine(kept)
    assert run(one, line) == []
    assert kept.keys() == {"emomusic/kitchen/availability"}
    assert born(one, line) == []
    assert KITCHEN in line.for_a_moment
    one.leaving(line)
    one, line = discovery(file, announces=False), RecordingLine(kept)
    assert one.subscriptions() == []
    assert run(one, line) == []
    assert line.said == []


def test_a_short_run_forgets_nothing(file: Path) -> None:
    kept: dict[str, bytes] = {}
    discovery(file).before_online(RecordingLine(kept))
    one, line = discovery(file, "attic"), RecordingLine({})
    run(one, line, to_s=1.0)
    one.leaving(line)
    run(discovery(file, "attic"), RecordingLine(kept))
    assert list(kept) == [ATTIC]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"serial": "x"}', b'{"serial": "0123456789ab", "colour": 1}', b"9" * 70_000],
)
def test_a_damaged_file_is_told_once_and_costs_only_the_memory(
    file: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(content)
    line = RecordingLine()
    run(discovery(file), line)
    assert KITCHEN in line.kept
    (record,) = caplog.records
    assert (record.levelno, str(file) in record.getMessage()) == (logging.WARNING, True)
    caplog.clear()
    run(discovery(file, "attic"), RecordingLine())
    assert caplog.records == []


def test_a_file_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    one, line = discovery(blocked / "home-assistant.json"), RecordingLine()
    run(one, line)
    one.leaving(line)
    assert KITCHEN in line.kept
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y/z"]), st.booleans(), st.booleans()),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_is_renamed_and_switched_only_the_last_stands(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[str, str, bool, bool]]
) -> None:
    """Any row of nodes, prefixes and on or off, one broker: what is left is what the last run announces."""
    file = tmp_path_factory.mktemp("any") / "home-assistant.json"
    kept: dict[str, bytes] = {}
    for node, prefix, announces, starts in runs:
        one, line = discovery(file, node, prefix=prefix, announces=announces), RecordingLine(kept)
        kept[f"emomusic/{node}/availability"] = b"online"
        run(one, line)
        if starts:
            tell(one.subscriptions(), f"{prefix}/status", b"online")
            steps(one, line, LONG_S, 2 * LONG_S)
        one.leaving(line)
        kept[f"emomusic/{node}/availability"] = b"offline"
    node, prefix, announces, _ = runs[-1]
    documents = {topic for topic in kept if topic.endswith("/config")}
    assert documents == ({discovery_topic(prefix, node)} if announces else set())
