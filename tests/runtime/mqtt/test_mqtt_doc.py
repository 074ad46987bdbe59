"""docs/mqtt.md cannot rot: it is the one that the code writes, and what it says is held to a real broker."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broker import Broker, Listener, program, wait_until
from logins import SECRET, access_list_in, client_line, guarded
from sample_snapshot import SNAPSHOT

import emomusic_edge.runtime.mqtt as mqtt
from emomusic_edge.affect import MOOD_LABELS
from emomusic_edge.cli import main
from emomusic_edge.config.mqtt import MqttSettings
from emomusic_edge.contracts import Mode
from emomusic_edge.runtime.groups.topics import GROUP_TOPICS
from emomusic_edge.runtime.home_assistant.discovery import HomeAssistantDiscovery
from emomusic_edge.runtime.home_assistant.document import discovery_topic
from emomusic_edge.runtime.home_assistant.remembered import RememberedFile
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.client import WILL_DELAY_S
from emomusic_edge.runtime.mqtt.commands import COMMANDS, MAX_PAYLOAD_BYTES, parse_command
from emomusic_edge.runtime.mqtt.describe import mqtt_markdown, prose
from emomusic_edge.runtime.mqtt.describe.samples import samples
from emomusic_edge.runtime.mqtt.describe.schemas import field_rows
from emomusic_edge.runtime.mqtt.extension import Extension
from emomusic_edge.runtime.mqtt.inbox import MAX_WAITING_COMMANDS, CommandRate
from emomusic_edge.runtime.mqtt.messages import RESULT, TOPICS, ClaimMessage, Message, ResultMessage, StateMessage
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher

PAGE = mqtt_markdown()
MODELS = {
    rule.name.removesuffix("/<run>").rsplit("/", 1)[-1]: rule.model for rule in (*TOPICS, *GROUP_TOPICS) if rule.model
}
# Faster than any test: what the page says of the rate is not what is tried here.
AT_ONCE = CommandRate(per_s=1e6, burst=1000)


def sections(page: str) -> dict[str, str]:
    """Text by heading of any level."""
    parts = re.split(r"^#+ (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str) -> list[list[str]]:
    """The cells of a section's tables, without heads."""
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def command_lines() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@contextmanager
def connected(settings: BrokerSettings, *extensions: Extension) -> Iterator[MqttPublisher]:
    publisher = MqttPublisher(settings, rate=AT_ONCE, extensions=extensions)
    publisher.start()
    try:
        wait_until(lambda: publisher.reason() == "", lambda: f"the connection; {publisher.reason()}")
        yield publisher
    finally:
        publisher.close()


def test_the_page_is_in_step(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (repo / "docs" / "mqtt.md").read_text(encoding="utf-8")
    assert page == PAGE, "run: emomusic-edge mqtt describe > docs/mqtt.md"
    with pytest.raises(SystemExit):
        main(["mqtt", "describe"])
    assert capsys.readouterr().out == page


def test_every_payload_on_the_page_is_one_the_device_could_send() -> None:
    found = 0
    for heading, text in sections(PAGE).items():
        for example in re.findall(r"^```json\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
            model = MODELS[heading]
            assert model.model_validate_json(example).payload() == json.dumps(
                json.loads(example), separators=(",", ":"), ensure_ascii=False
            )
            found += 1
    assert found == PAGE.count("```json") == sum(len(some) for some in samples().values())


def test_every_topic_and_field_is_on_the_page() -> None:
    for heading, rules in (("Topics", TOPICS), ("Rooms that play together", GROUP_TOPICS)):
        told = [(row[0].strip("`"), row[2], row[3], row[4]) for row in rows(sections(PAGE)[heading])]
        assert told == [
            (
                rule.name,
                str(rule.qos),
                "yes" if rule.retained else "no",
                f"{rule.expiry_s} s" if rule.expiry_s is not None else "",
            )
            for rule in rules
        ]
    for heading, model in MODELS.items():
        explained = [name for row in rows(sections(PAGE)[heading]) for name in re.findall(r"`([^`]+)`", row[0])]
        assert sorted(explained) == sorted(row.name for row in field_rows(model))
        assert {name.split(".")[0] for name in explained} == set(model.model_fields)
    assert f"{WILL_DELAY_S} s after the line broke" in PAGE


def test_a_table_says_what_a_model_allows() -> None:
    by_name = {row.name: row for row in field_rows(StateMessage)}
    assert by_name["at"].kind == "time"
    assert by_name["valence.value"].kind == "number, -3 to 3"
    assert by_name["face.score"].kind == "number, 0 to 1, or null"
    assert by_name["sources"].kind == "list of `scene`, `face`"
    assert re.findall(r"`(\w+)`", by_name["mood"].kind) == list(MOOD_LABELS)
    assert by_name["mood"].kind.endswith(", or null")
    assert by_name["valence"].kind == "object, or null"
    # a cell of a table, not two
    for model in MODELS.values():
        assert not any("|" in f"{row.kind}{row.meaning}" or "\n" in row.meaning for row in field_rows(model))


def test_the_table_of_commands_and_limits_are_the_codes() -> None:
    section = sections(PAGE)["Commands"]
    assert [row[0].strip("`") for row in rows(section)] == list(COMMANDS)
    modes = next(row[2] for row in rows(section) if row[0] == "`mode`")
    assert all(mode.value in modes for mode in Mode)
    assert f"more than {MAX_WAITING_COMMANDS} commands" in PAGE
    assert f"more than {MAX_PAYLOAD_BYTES // 1024} KiB" in PAGE
    assert f"more than {CommandRate().per_s:g} commands a second" in PAGE
    assert f"{CommandRate().burst} at once" in PAGE


@pytest.mark.parametrize(("name", "example"), [(name, text) for name in COMMANDS for text in COMMANDS[name].examples])
def test_every_example_of_a_command_is_understood(name: str, example: str) -> None:
    parse_command(name, example.encode())


def test_the_table_of_settings_is_the_configs() -> None:
    told = [name for row in rows(sections(PAGE)["The way to the broker"]) for name in re.findall(r"`(\w+)`", row[0])]
    assert told == list(MqttSettings.model_fields)
    named = set(re.findall(r"`mqtt\.(\w+)", PAGE))
    assert named <= set(MqttSettings.model_fields)


def test_every_complaint_on_the_page_is_one_that_the_code_makes() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(mqtt.__path__[0]).glob("*.py"))
    for said, _ in prose.WHEN_NOTHING_COMES:
        assert said in sources, said


@pytest.mark.broker
def test_an_answer_on_the_page_is_the_true_one(broker: Broker, listener: Listener) -> None:
    refusal = samples()[RESULT.address][-1].message
    assert isinstance(refusal, ResultMessage)
    with connected(BrokerSettings(port=broker.port, node="living-room")):
        listener.send("emomusic/living-room/cmd/volume", "7")
        assert listener.wait("emomusic/living-room/cmd/volume/result").json["reason"] == refusal.reason


@pytest.mark.broker
def test_a_claim_on_the_wire_is_one_of_the_page(broker: Broker, listener: Listener) -> None:
    with connected(BrokerSettings(port=broker.port, node="living-room")):
        claim: Message = ClaimMessage.model_validate_json(listener.wait("emomusic/living-room/claim").payload)
        assert set(json.loads(claim.payload())) == set(ClaimMessage.model_fields)


@pytest.mark.broker
def test_every_command_line_works(broker: Broker, listener: Listener) -> None:
    with connected(BrokerSettings(port=broker.port, node="living-room")) as publisher:
        asked = [line for line in command_lines() if line[0] in ("mosquitto_pub", "mosquitto_rr")]
        assert {line[line.index("-t") + 1].rsplit("/", 1)[1] for line in asked} == set(COMMANDS)
        for line in asked:
            option = "-e" if "-e" in line else "-t"
            topic = line[line.index(option) + 1]
            topic = topic if option == "-e" else f"{topic}/result"
            before = len(listener.all(topic))
            done = subprocess.run(
                [program(line[0]), "-h", "127.0.0.1", "-p", str(broker.port), *line[1:]],
                check=True,
                timeout=30,
                capture_output=True,
                text=True,
            )
            answer = listener.wait(topic, count=before + 1)
            assert answer.json["ok"], line
            if line[0] == "mosquitto_rr":
                assert done.stdout.strip() == answer.payload.decode()
        assert len(publisher.commands()) == len(asked)
        assert list(publisher.rejected()) == []


@pytest.mark.broker
def test_the_access_list_lets_in_what_it_should_and_no_more(tmp_path: Path) -> None:
    with (
        guarded(tmp_path, access_list_in(PAGE), "living-room", "kitchen", "homeassistant") as broker,
        Listener(broker) as listener,
    ):

        def say(user: str, topic: str, payload: str) -> None:
            line = [*client_line("mosquitto_pub", broker, user), "-q", "1", "-t", topic, "-m", payload]
            subprocess.run(line, check=True, timeout=30, capture_output=True)

        kitchen = BrokerSettings(port=broker.port, node="kitchen", username="kitchen", password=SECRET)
        discovery = HomeAssistantDiscovery(kitchen, version="1", file=RememberedFile(tmp_path / "announced.json"))
        announced = discovery_topic("homeassistant", "kitchen")
        with connected(kitchen, discovery) as publisher:
            say("living-room", "emomusic/kitchen/cmd/volume", "0.1")  # a neighbour has no say
            listener.wait(announced)
            listener.wait("emomusic/kitchen/availability")
            say("homeassistant", "emomusic/kitchen/cmd/volume", "0.4")
            assert listener.wait("emomusic/kitchen/cmd/volume/result").json["ok"]
            before = len(listener.all(announced))
            say("homeassistant", "homeassistant/status", "online")

            def announced_anew() -> bool:
                publisher.publish(SNAPSHOT)
                return len(listener.all(announced)) > before

            wait_until(announced_anew, "the answer to Home Assistant's start")
            assert [told.payload for told in listener.all("emomusic/kitchen/cmd/volume")] == [b"0.4"]
            assert publisher.reason() == ""
        # Nobody announces but for themselves, be it another of these devices or something that is none.
        barrier = "emomusic/kitchen/barrier"
        for topic in (
            discovery_topic("homeassistant", "living-room"),
            "homeassistant/device/frontdoor/config",
            "homeassistant/device/frontdoor/emomusic/config",
            "homeassistant/lock/frontdoor/config",
            "homeassistant/status",
        ):
            before = len(listener.all(topic))
            say("kitchen", topic, "{}")
            say("kitchen", barrier, topic)
            listener.wait(barrier, lambda heard, topic=topic: heard.payload == topic.encode())
            assert len(listener.all(topic)) == before
