"""docs/home-assistant.md cannot rot: entities, privacy lists, card and command lines are held to the code."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from blueprint_files import FILES, walk
from broker import Broker, Listener, wait_until
from logins import SECRET, access_list_in, client_line, guarded
from of_people import OF_PEOPLE
from pages import blocks, section, table, text_of
from sample_snapshot import SNAPSHOT

from emomusic_edge.config import load_config
from emomusic_edge.contracts import Command, Mode, SetCamera, SetMode, SetVolume
from emomusic_edge.runtime.home_assistant.components import components
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.messages import StateMessage
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher

PAGE = "docs/home-assistant.md"
ENTITIES = {entity["default_entity_id"]: entity for entity in components(BrokerSettings(node="living-room")).values()}


def yaml_blocks() -> dict[str, Any]:
    """The YAML examples of the page, by their first key; the add-on's list of logins as `logins`."""
    loaded = [yaml.safe_load(block) for block in blocks(text_of(PAGE), "yaml")]
    return {"logins" if isinstance(example, list) else next(iter(example)): example for example in loaded}


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
    # As Home Assistant names an entity whose name is taken.
    assert {name for name in ENTITIES if matches(globs, f"{name}_2")} == left_out


def test_nothing_that_tells_of_people_goes_into_statistics_which_no_exclusion_of_history_would_end() -> None:
    for name, entity in ENTITIES.items():
        assert name.split("living_room_")[1] not in OF_PEOPLE or "state_class" not in entity


def test_the_purge_reaches_all_that_the_recorder_leaves_out() -> None:
    purge = yaml_blocks()["action"]
    assert purge["action"] == "recorder.purge_entities"
    for name in ENTITIES:
        if name.split("living_room_")[1] in OF_PEOPLE:
            assert matches(purge["data"]["entity_globs"], name)
            assert matches(purge["data"]["entity_globs"], f"{name}_2")


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


@contextmanager
def publishing(settings: BrokerSettings) -> Iterator[MqttPublisher]:
    publisher = MqttPublisher(settings)
    publisher.start()
    try:
        wait_until(lambda: publisher.reason() == "", lambda: f"the connection; {publisher.reason()}")
        yield publisher
    finally:
        publisher.close()


@pytest.mark.broker
def test_every_line_for_the_shell_works_under_the_access_list(tmp_path: Path) -> None:
    rules = access_list_in(text_of("docs/mqtt.md"))
    login = {"node": "living-room", "username": "living-room", "password": SECRET}
    # Each is a change: what was told before the subscription stood would else come again only after ten seconds.
    steps = (replace(SNAPSHOT, face_count=2 + seq % 2) for seq in itertools.count())
    lines = [line for block in blocks(section(text_of(PAGE), "The shell"), "sh") for line in block.splitlines()]
    outputs = []
    with (
        guarded(tmp_path, rules, "living-room", "homeassistant") as broker,
        publishing(BrokerSettings(port=broker.port, **login)) as publisher,
    ):
        for line in lines:
            tool, *words = shlex.split(line)
            running = subprocess.Popen(
                [*client_line(tool, broker, "homeassistant"), *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            try:

                def over(running: subprocess.Popen[str] = running) -> bool:
                    publisher.publish(next(steps))
                    return running.poll() is not None

                wait_until(over, f"the end of {line}")
            finally:
                running.kill()
            out, err = running.communicate()
            assert (running.returncode, err) == (0, ""), line
            outputs.append(out)
        StateMessage.model_validate_json(outputs[0])
        assert outputs[1] == "online\n"
        assert [json.loads(output)["ok"] for output in outputs[2:4]] == [True, True]
        obeyed: list[Command] = []

        def all_obeyed() -> bool:
            obeyed.extend(publisher.commands())
            return len(obeyed) == 3

        wait_until(all_obeyed, lambda: f"three commands; came {obeyed}")
        assert obeyed == [SetVolume(0.4), SetMode(Mode.CALM), SetCamera(False)]


@pytest.mark.broker
def test_the_certificates_of_the_page_are_trusted(tmp_path: Path) -> None:
    text = section(text_of(PAGE), "A broker that has no TLS yet")
    (recipe,) = blocks(text, "sh")
    (listener,) = blocks(text, "text")
    here = recipe.replace("homeassistant.local", "localhost")
    subprocess.run(["sh", "-e", "-c", here], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    files = listener.replace("/etc/mosquitto/certs", str(tmp_path)).splitlines()
    broker = Broker(tmp_path, *files[1:])
    broker.start()
    try:
        settings = BrokerSettings(host="localhost", port=broker.port, tls=True, ca_file=tmp_path / "home-ca.pem")
        with publishing(settings):
            pass
    finally:
        broker.stop()
    # Newer Pythons are as strict as this by default.
    strict = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost"]
    line = [*strict, "-CAfile", "home-ca.pem", "fullchain.pem"]
    subprocess.run(line, cwd=tmp_path, check=True, capture_output=True, timeout=60)


def test_the_login_of_the_page_has_the_one_name_that_the_access_list_asks_for(tmp_path: Path) -> None:
    (config,) = (block for block in blocks(section(text_of(PAGE), "Switch it on"), "toml") if "username" in block)
    file = tmp_path / "config.toml"
    file.write_text(config)
    told = load_config(file, {}).mqtt
    assert (told.username, told.device_id, told.node) == ("living-room",) * 3
    assert [login["username"] for login in yaml_blocks()["logins"]] == ["living-room"]


def test_the_password_file_of_the_page_is_readable_to_nobody_else(tmp_path: Path) -> None:
    (recipe,) = blocks(section(text_of(PAGE), "Switch it on"), "sh")
    # Nobody types here.
    line = recipe.replace("nano ", "printf 'secret\\n' > ")
    subprocess.run(["sh", "-e", "-c", line], check=True, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
    password = tmp_path / ".config" / "emomusic-edge" / "mqtt-password"
    assert (password.stat().st_mode & 0o777, password.read_text()) == (0o600, "secret\n")


@pytest.mark.broker
def test_a_groups_topics_are_open_to_nobody_until_its_devices_are_named(tmp_path: Path) -> None:
    rules = access_list_in(text_of("docs/mqtt.md"))
    commented = [line[1:] for line in rules.splitlines() if line.startswith(("#user", "#topic"))]
    assert commented == ["user living-room", "topic readwrite emomusic-group/downstairs/#"]
    told = "emomusic-group/downstairs/plan"
    users = ("living-room", "homeassistant", "kitchen")
    reached: dict[str, set[str]] = {}
    for what, access in (("untouched", rules), ("named", "\n".join([rules, *commented]))):
        folder = tmp_path / what
        folder.mkdir()
        with guarded(folder, access, *users) as broker, Listener(broker) as listener:
            for user in users:
                line = [*client_line("mosquitto_pub", broker, user), "-q", "1", "-t", told, "-m", user]
                subprocess.run(line, check=True, timeout=30, capture_output=True)
            # Comes after what the broker let through.
            listener.send(told, "end")
            listener.wait(told, lambda heard: heard.payload == b"end")
            reached[what] = {heard.payload.decode() for heard in listener.all(told)} - {"end"}
    assert reached == {"untouched": set(), "named": {"living-room"}}


def test_plaintext_as_the_page_has_it_is_let_through(tmp_path: Path) -> None:
    (config,) = blocks(section(text_of(PAGE), "A broker that has no TLS yet"), "toml")
    file = tmp_path / "config.toml"
    file.write_text(config)
    settings = BrokerSettings.of(load_config(file, {"mqtt.host": "homeassistant.local"}).mqtt)
    assert (settings.tls, settings.port) == (False, 1883)


def test_node_red_needs_no_more_of_the_access_list_than_its_flow_uses(repo: Path) -> None:
    (rules,) = blocks(section(text_of(PAGE), "Node-RED"), "text")
    told = {tuple(line.split()[1:]) for line in rules.splitlines() if line.startswith("topic ")}
    flow = json.loads((repo / "docs" / "node-red-flow.json").read_text(encoding="utf-8"))
    assert {topic for way, topic in told if way == "read"} == {
        node["topic"] for node in flow if node["type"] == "mqtt in"
    }
    assert {topic for way, topic in told if way == "write"} == {"emomusic/+/cmd/mode"}
