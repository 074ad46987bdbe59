"""docs/mqtt.md cannot rot: its payloads, its table of topics and its commands are held to the code and to a broker."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from broker import Broker, Listener, program, wait_until

from emomusic_edge.affect import MOOD_LABELS
from emomusic_edge.config.mqtt import MqttSettings
from emomusic_edge.contracts import Mode
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.commands import COMMANDS, MAX_PAYLOAD_BYTES
from emomusic_edge.runtime.mqtt.messages import (
    TOPICS,
    HealthMessage,
    Message,
    MusicMessage,
    ResultMessage,
    StateMessage,
)
from emomusic_edge.runtime.mqtt.publisher import MAX_WAITING_COMMANDS, MqttPublisher

MODELS: dict[str, type[Message]] = {
    "state": StateMessage,
    "music": MusicMessage,
    "health": HealthMessage,
    "result": ResultMessage,
}


@pytest.fixture(scope="module")
def doc(repo: Path) -> str:
    return (repo / "docs" / "mqtt.md").read_text(encoding="utf-8")


def sections(doc: str) -> dict[str, str]:
    """Text by heading of any level."""
    parts = re.split(r"^#+ (.+)$", doc, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str) -> list[list[str]]:
    """The cells of a section's tables, without heads."""
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def commands(doc: str) -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", doc, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_every_payload_is_one_the_device_could_send(doc: str) -> None:
    found = 0
    for heading, text in sections(doc).items():
        for example in re.findall(r"^```json\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
            MODELS[heading].model_validate_json(example)
            found += 1
    assert found == doc.count("```json") >= len(MODELS)


@pytest.mark.broker
def test_an_answer_in_the_doc_is_the_true_one(doc: str, broker: Broker, listener: Listener) -> None:
    refusal = next(
        ResultMessage.model_validate_json(block).reason
        for block in re.findall(r"```json\n(.*?)```", sections(doc)["result"], flags=re.DOTALL)
        if '"ok": false' in block
    )
    publisher = MqttPublisher(BrokerSettings(port=broker.port, node="living-room"))
    publisher.start()
    try:
        wait_until(lambda: publisher.reason() == "", "the connection")
        listener.send("emomusic/living-room/cmd/volume", "7")
        assert listener.wait("emomusic/living-room/cmd/volume/result").json["reason"] == refusal
    finally:
        publisher.close()


def test_the_table_of_topics_is_the_codes(doc: str) -> None:
    told = [(row[0].strip("`"), row[2], row[3]) for row in rows(sections(doc)["Topics"])]
    assert sorted(told) == sorted((rule.name, str(rule.qos), "yes" if rule.retained else "no") for rule in TOPICS)


def test_the_fields_of_state_are_all_explained(doc: str) -> None:
    explained = " ".join(row[0] for row in rows(sections(doc)["state"]))
    for name in StateMessage.model_fields:
        assert f"`{name}" in explained, name
    moods = next(row[1] for row in rows(sections(doc)["state"]) if row[0] == "`mood`")
    assert re.findall(r"`(\w+)`", moods) == list(MOOD_LABELS)


def test_the_table_of_commands_and_limits_are_the_codes(doc: str) -> None:
    section = sections(doc)["Commands"]
    assert [row[0].strip("`") for row in rows(section)] == list(COMMANDS)
    modes = next(row[2] for row in rows(section) if row[0] == "`mode`").split("one of")[1]
    assert re.findall(r"`(\w+)`", modes) == [mode.value for mode in Mode]
    assert f"more than {MAX_WAITING_COMMANDS} commands" in doc
    assert f"more than {MAX_PAYLOAD_BYTES // 1024} KiB" in doc


def test_the_table_of_settings_is_the_configs(doc: str) -> None:
    told = [name for row in rows(sections(doc)["The way to the broker"]) for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(told) == sorted(MqttSettings.model_fields)


@pytest.mark.broker
def test_every_command_line_works(doc: str, broker: Broker, listener: Listener) -> None:
    publisher = MqttPublisher(BrokerSettings(port=broker.port, node="living-room"))
    publisher.start()
    try:
        wait_until(lambda: publisher.reason() == "", "the connection")
        published = [line for line in commands(doc) if line[0] == "mosquitto_pub"]
        assert {line[line.index("-t") + 1].rsplit("/", 1)[1] for line in published} == set(COMMANDS)
        for line in published:
            topic = f"{line[line.index('-t') + 1]}/result"
            before = len(listener.all(topic))
            subprocess.run(
                [program(line[0]), "-h", "127.0.0.1", "-p", str(broker.port), *line[1:]], check=True, timeout=30
            )
            assert listener.wait(topic, count=before + 1).json["ok"], line
        assert len(publisher.commands()) == len(published)
        assert list(publisher.rejected()) == []
    finally:
        publisher.close()
