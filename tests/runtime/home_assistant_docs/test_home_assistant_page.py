"""docs/home-assistant.md cannot rot: entities, privacy lists, card and command lines are held to the code."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from blueprint_files import FILES, walk
from broker import Broker, program, wait_until
from of_people import OF_PEOPLE
from pages import blocks, section, table, text_of
from sample_snapshot import SNAPSHOT

from emomusic_edge.contracts import Mode, SetCamera, SetMode, SetVolume
from emomusic_edge.runtime.home_assistant.components import components
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.messages import StateMessage
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher

PAGE = "docs/home-assistant.md"
ENTITIES = {entity["default_entity_id"]: entity for entity in components(BrokerSettings(node="living-room")).values()}


def yaml_blocks() -> dict[str, Any]:
    """The YAML examples of the page, by their first key."""
    loaded = [yaml.safe_load(block) for block in blocks(text_of(PAGE), "yaml")]
    return {next(iter(example)): example for example in loaded}


def matches(globs: list[str], entity_id: str) -> bool:
    return any(fnmatch(entity_id, pattern) for pattern in globs)


def test_the_table_of_entities_is_the_codes() -> None:
    rows = table(section(text_of(PAGE), "What appears by itself"))
    told = {row[0].strip("`"): row[1] for row in rows}
    assert sorted(told) == sorted(ENTITIES)
    for name, text in told.items():
        assert ("(diagnostic)" in text) == (ENTITIES[name].get("entity_category") == "diagnostic"), name
    modes = next(row[1] for row in rows if "_mode`" in row[0])
    assert modes.split(", ") == [mode.value for mode in Mode]


def test_the_recorder_leaves_out_what_tells_of_people_and_nothing_else() -> None:
    globs = yaml_blocks()["recorder"]["recorder"]["exclude"]["entity_globs"]
    left_out = {name for name in ENTITIES if matches(globs, name)}
    assert left_out == {name for name in ENTITIES if name.split("living_room_")[1] in OF_PEOPLE}
    assert all(any(fnmatch(name, pattern) for name in ENTITIES) for pattern in globs)


def test_nothing_that_tells_of_people_goes_into_statistics_which_no_exclusion_of_history_would_end() -> None:
    for name, entity in ENTITIES.items():
        assert name.split("living_room_")[1] not in OF_PEOPLE or "state_class" not in entity


def test_the_purge_reaches_all_that_the_recorder_leaves_out() -> None:
    purge = yaml_blocks()["action"]
    assert purge["action"] == "recorder.purge_entities"
    for name in ENTITIES:
        assert name.split("living_room_")[1] not in OF_PEOPLE or matches(purge["data"]["entity_globs"], name)


def test_the_card_is_made_of_entities_that_there_are() -> None:
    card = yaml_blocks()["type"]
    named = {text for text in walk(card) if isinstance(text, str) and "emomusic" in text}
    assert named <= set(ENTITIES)
    assert len(named) > 10
    kinds = {part["type"] for part in walk(card) if isinstance(part, dict) and "type" in part}
    built_in = {"vertical-stack", "horizontal-stack", "grid", "conditional", "gauge", "tile", "button", "entities"}
    assert kinds <= built_in | {"select-options"}
    for gauge in (part for part in walk(card) if isinstance(part, dict) and part.get("type") == "gauge"):
        mood = ENTITIES[gauge["entity"].replace("sensor.", "number.").replace("room_", "room_mood_")]
        assert (gauge["min"], gauge["max"]) == (mood["min"], mood["max"])


def test_every_blueprint_is_told_of() -> None:
    rows = table(section(text_of(PAGE), "Blueprints"))
    assert sorted(re.findall(r"\[([\w.]+)\]", " ".join(row[0] for row in rows))) == [file.name for file in FILES]


def test_the_flow_is_what_the_page_says(repo: Path) -> None:
    flow = json.loads((repo / "docs" / "node-red-flow.json").read_text(encoding="utf-8"))
    ids = {node["id"] for node in flow}
    assert len(ids) == len(flow)
    for node in flow:
        assert all(target in ids for wire in node.get("wires", []) for target in wire)
        assert node.get("broker") in (None, "127.0.0.1", *ids)
    assert {node["protocolVersion"] for node in flow if node["type"] == "mqtt-broker"} == {"5"}


@pytest.fixture
def publisher(broker: Broker) -> Iterator[MqttPublisher]:
    publisher = MqttPublisher(BrokerSettings(port=broker.port, node="living-room"))
    publisher.start()
    try:
        wait_until(lambda: publisher.reason() == "", "the connection")
        yield publisher
    finally:
        publisher.close()


@pytest.mark.broker
def test_every_line_for_the_shell_works(broker: Broker, publisher: MqttPublisher) -> None:
    # Each is a change: what was told before the subscription stood would else come again only after ten seconds.
    steps = (replace(SNAPSHOT, face_count=2 + seq % 2) for seq in itertools.count())
    said = {}
    lines = [line for block in blocks(text_of(PAGE), "sh") for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line)
        command = [program(words[0]), "-h", "127.0.0.1", "-p", str(broker.port), *words[1:]]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:

            def over(running: subprocess.Popen[str] = running) -> bool:
                publisher.publish(next(steps))
                return running.poll() is not None

            wait_until(over, f"the end of {line}")
        finally:
            running.kill()
        out, err = running.communicate()
        assert (running.returncode, err) == (0, ""), line
        said[line] = out
    outputs = list(said.values())
    StateMessage.model_validate_json(outputs[0])
    assert outputs[1] == "online\n"
    assert [json.loads(output)["ok"] for output in outputs[2:4]] == [True, True]
    assert list(publisher.commands()) == [SetVolume(0.4), SetMode(Mode.CALM), SetCamera(False)]
