"""A card that was copied into another machine: neither device takes back what the other announced, and two are told."""

from __future__ import annotations

import json
import logging
import random
import shutil
from pathlib import Path

import pytest
from recording_line import RecordingLine, tell
from sample_snapshot import SNAPSHOT

from emomusic_edge.runtime.home_assistant.discovery import HomeAssistantDiscovery
from emomusic_edge.runtime.home_assistant.document import discovery_topic
from emomusic_edge.runtime.home_assistant.machine_marks import Marks, another_machine, machine_marks
from emomusic_edge.runtime.home_assistant.remembered import RememberedFile
from emomusic_edge.runtime.mqtt.broker import BrokerSettings

HERE: Marks = {"machine": ("0" * 12,), "board": ("a" * 12,)}
THERE: Marks = {"machine": ("0" * 12,), "board": ("b" * 12,)}
SHARED = discovery_topic("homeassistant", "5f0c")


def device(file: Path, node: str, marks: Marks | None = None, device_id: str = "5f0c") -> HomeAssistantDiscovery:
    settings = BrokerSettings(node=node, device_id=device_id)
    remembered = RememberedFile(file, marks=marks)
    return HomeAssistantDiscovery(settings, version="1", file=remembered, jitter=random.Random(1))


def run(one: HomeAssistantDiscovery, line: RecordingLine, seconds: int = 20) -> None:
    one.before_online(line)
    line.subscribe(one.subscriptions())
    for tenth in range(10 * seconds):
        one.step(SNAPSHOT, tenth / 10, line)


def serial_of(document: bytes) -> str:
    return str(json.loads(document)["device"]["serial_number"])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """That of a device which has run as `kitchen`, and a copy of it."""
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    device(one, "kitchen", HERE)
    shutil.copy(one, other)
    return one, other


def test_two_devices_with_one_id_and_one_file_are_told(files: tuple[Path, Path]) -> None:
    """Where nothing tells the machines apart: the copy bears the same mark under another name."""
    kept: dict[str, bytes] = {}
    devices = [device(files[0], "kitchen"), device(files[1], "attic")]
    lines = [RecordingLine(kept), RecordingLine(kept)]
    for one, line in zip(devices, lines, strict=True):
        run(one, line, 3)
    tell(devices[0].subscriptions(), SHARED, kept[SHARED])  # the second one's was heard by the first
    for tenth in range(30, 1200):
        for here, there in ((0, 1), (1, 0)):
            said = len(lines[here].said)
            if devices[here].step(SNAPSHOT, tenth / 10, lines[here]):
                devices[here].before_online(lines[here])
            for topic, payload in lines[here].said[said:]:
                tell(devices[there].subscriptions(), topic, payload)
    assert "announces itself to Home Assistant as '5f0c' too" in devices[0].reason
    assert max(len(line.said) for line in lines) < 6


@pytest.mark.parametrize("device_id", ["5f0c", "77aa"])
def test_a_copy_touches_nothing_of_a_device_that_is_off(
    files: tuple[Path, Path], caplog: pytest.LogCaptureFixture, device_id: str
) -> None:
    original = RecordingLine()
    run(device(files[0], "kitchen", HERE), original)
    kept = {**original.kept, "emomusic/kitchen/availability": b"offline"}
    with caplog.at_level(logging.WARNING):
        copy, line = device(files[1], "attic", THERE, device_id), RecordingLine(kept)
    assert "was copied from another machine (its board mark differs)" in caplog.text
    run(copy, line)
    tell(copy.subscriptions(), "homeassistant/status", b"online")
    for tenth in range(200, 600):
        copy.step(SNAPSHOT, tenth / 10, line)
    assert {topic for topic, payload in line.said if not payload} == set()
    assert line.for_a_moment == {}
    assert kept["emomusic/kitchen/availability"] == b"offline"
    assert serial_of(kept[discovery_topic("homeassistant", device_id)]) != serial_of(original.kept[SHARED])
    # From then on it is a device of its own.
    caplog.clear()
    again = RecordingLine(kept)
    run(device(files[1], "loft", THERE, device_id), again)
    assert caplog.text == ""
    assert serial_of(again.kept[discovery_topic("homeassistant", device_id)]) == serial_of(
        line.kept[discovery_topic("homeassistant", device_id)]
    )


def test_a_place_where_a_copy_speaks_is_left_to_it(files: tuple[Path, Path]) -> None:
    """Without any mark of the machine: the original is given another id while its copy is off."""
    kept: dict[str, bytes] = {}
    run(device(files[1], "attic"), RecordingLine(kept))
    one, line = device(files[0], "kitchen", device_id="77aa"), RecordingLine(kept)
    run(one, line)
    assert kept.keys() == {SHARED, discovery_topic("homeassistant", "77aa")}


def test_the_same_machine_renamed_leaves_nothing_behind(files: tuple[Path, Path]) -> None:
    kept = {"emomusic/kitchen/availability": b"offline"}
    run(device(files[0], "kitchen", HERE), RecordingLine(kept))
    serial = serial_of(kept[SHARED])
    run(device(files[0], "attic", HERE), RecordingLine(kept))
    assert (kept.keys(), serial_of(kept[SHARED])) == ({SHARED}, serial)
    run(device(files[0], "attic", HERE, "77aa"), RecordingLine(kept))
    assert kept.keys() == {discovery_topic("homeassistant", "77aa")}


def test_a_file_of_a_version_that_knew_no_marks_is_adopted(files: tuple[Path, Path]) -> None:
    told = json.loads(files[0].read_text())
    serial = told["serial"]
    del told["marks"]
    files[0].write_text(json.dumps(told))
    device(files[0], "kitchen", HERE)
    told = json.loads(files[0].read_text())
    assert (told["serial"], told["marks"]) == (serial, {kind: list(marks) for kind, marks in HERE.items()})


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        ({}, HERE, ""),
        (HERE, {}, ""),
        (HERE, HERE, ""),
        (HERE, THERE, "board"),
        ({"machine": ("0" * 12,)}, {"machine": ("1" * 12,)}, "machine"),
        # What only one of them could read says nothing.
        ({"machine": ("0" * 12,)}, {"machine": ("0" * 12,), "board": ("a" * 12,)}, ""),
        # A card was added, another is switched off.
        ({"network": ("0" * 12, "1" * 12)}, {"network": ("1" * 12, "2" * 12)}, ""),
        ({"network": ("0" * 12,)}, {"network": ("1" * 12,)}, "network"),
    ],
)
def test_which_marks_tell_two_machines_apart(before: Marks, now: Marks, kind: str) -> None:
    assert another_machine(before, now) == kind


def machine(root: Path, *, machine_id: str, board: str, cards: dict[str, tuple[str, str, str]]) -> Path:
    """What a kernel shows of a machine; of each card its address, how that came about, and what it is plugged into."""
    tree = root / "sys/firmware/devicetree/base"
    tree.mkdir(parents=True)
    (tree / "serial-number").write_bytes(board.encode() + b"\0")
    (root / "etc").mkdir()
    (root / "etc/machine-id").write_text(f"{machine_id}\n")
    for name, (address, kind, bus) in cards.items():
        card = root / "sys/class/net" / name
        card.mkdir(parents=True)
        (card / "address").write_text(f"{address}\n")
        (card / "addr_assign_type").write_text(f"{kind}\n")
        if bus:
            where = root / "sys/devices" / bus / name
            where.mkdir(parents=True)
            (card / "device").symlink_to(where)
    return root


def test_the_marks_of_a_machine_are_read_and_show_nothing_of_it(tmp_path: Path) -> None:
    cards = {
        "eth0": ("48:b0:2d:00:00:01", "0", "pci0001"),
        "wlan0": ("48:b0:2d:00:00:02", "3", "pci0002"),  # drawn at random
        "eth1": ("48:b0:2d:00:00:03", "0", "platform/usb1/1-2"),  # a dongle
        "docker0": ("48:b0:2d:00:00:04", "0", ""),
    }
    first = machine_marks(machine(tmp_path / "a", machine_id="ab12", board="1424", cards=cards))
    assert {kind: len(marks) for kind, marks in first.items()} == {"machine": 1, "board": 1, "network": 1}
    assert not any(secret in str(first) for secret in ("ab12", "1424", "48:b0"))
    # The same card in the next board.
    cards["eth0"] = ("48:b0:2d:00:00:09", "0", "pci0001")
    second = machine_marks(machine(tmp_path / "b", machine_id="ab12", board="1425", cards=cards))
    assert {kind for kind in first if first[kind] != second[kind]} == {"board", "network"}
    # A zero that ends a text is the device tree's, not the serial's.
    plain = tmp_path / "c/sys/class/dmi/id"
    plain.mkdir(parents=True)
    (plain / "product_serial").write_text("1424\n")
    assert machine_marks(tmp_path / "c") == {"board": first["board"]}


def test_a_machine_that_shows_nothing_has_no_marks(tmp_path: Path) -> None:
    assert machine_marks(tmp_path) == {}


def test_this_machine_is_itself() -> None:
    assert another_machine(machine_marks(), machine_marks()) == ""
