"""docs/asyncapi.json is the one that the code writes, hangs together, and its schemas take what the device sends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError

from emomusic_edge.cli import main
from emomusic_edge.runtime.groups.topics import GROUP_TOPICS, PLAN
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.commands import COMMANDS, CommandError, parse_command
from emomusic_edge.runtime.mqtt.describe import asyncapi_document, message_schemas
from emomusic_edge.runtime.mqtt.describe.samples import samples
from emomusic_edge.runtime.mqtt.messages import COMMAND, TOPICS, TopicRule
from emomusic_edge.runtime.mqtt.publisher import MAX_TOPIC_BYTES, MqttPublisher

DOCUMENT = asyncapi_document()
SCHEMAS = message_schemas()
RULES = [rule for rule in (*TOPICS, *GROUP_TOPICS) if rule is not COMMAND]
# AsyncAPI's MQTT bindings 0.2.0
OPERATION_WORDS = {"qos", "retain", "messageExpiryInterval", "bindingVersion"}


def nodes(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from nodes(inner)


def resolved(reference: str) -> Any:
    assert reference.startswith("#/"), reference
    value: Any = DOCUMENT
    for key in reference[2:].split("/"):
        value = value[key]
    return value


def address(rule: TopicRule) -> str:
    words = {"<node>": "{node}", "<name>": "{command}", "<group>": "{group}", "<run>": "{run}"}
    return "/".join(words.get(level, level) for level in rule.address.split("/"))


def told(capsys: pytest.CaptureFixture[str], form: str) -> Any:
    with pytest.raises(SystemExit) as ended:
        main(["mqtt", "describe", "--format", form])
    assert ended.value.code == 0
    return json.loads(capsys.readouterr().out)


def test_the_document_is_in_step(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = json.loads((repo / "docs" / "asyncapi.json").read_text(encoding="utf-8"))
    assert kept == DOCUMENT, "run: emomusic-edge mqtt describe --format asyncapi > docs/asyncapi.json"
    assert told(capsys, "asyncapi") == kept
    assert told(capsys, "schema") == SCHEMAS


def test_every_reference_leads_somewhere_and_nothing_stands_unused() -> None:
    references = {node["$ref"] for node in nodes(DOCUMENT) if isinstance(node, dict) and "$ref" in node}
    for reference in references:
        resolved(reference)
    components = {f"#/components/{kind}/{name}" for kind, some in DOCUMENT["components"].items() for name in some}
    assert components <= references


def test_each_channel_names_its_parameters() -> None:
    for channel in DOCUMENT["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])
    addresses = [channel["address"] for channel in DOCUMENT["channels"].values()]
    assert len(set(addresses)) == len(addresses)
    commands = {f"emomusic/{{node}}/cmd/{name}" for name in COMMANDS}
    assert set(addresses) == commands | {address(rule) for rule in RULES}
    assert address(PLAN) == "emomusic-group/{group}/plan"


def test_operations_are_those_of_the_table_of_topics() -> None:
    operations = DOCUMENT["operations"]
    for operation in operations.values():
        channel = operation["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])
        assert set(operation["bindings"]["mqtt"]) <= OPERATION_WORDS
    for rule in RULES:
        (name,) = (name for name, channel in DOCUMENT["channels"].items() if channel["address"] == address(rule))
        binding = operations[f"send-{name}"]["bindings"]["mqtt"]
        assert (binding["qos"], binding["retain"]) == (rule.qos, rule.retained)
        assert binding.get("messageExpiryInterval") == rule.expiry_s
        assert (f"receive-{name}" in operations) == (rule.direction == "both")
    for name in COMMANDS:
        operation = operations[f"receive-{name}"]
        assert operation["action"] == "receive"
        assert resolved(operation["channel"]["$ref"])["address"] == f"emomusic/{{node}}/cmd/{name}"
        assert operation["reply"]["channel"] == {"$ref": "#/channels/result"}


def test_where_an_answer_may_go_is_told_as_the_device_takes_it() -> None:
    publisher = MqttPublisher(BrokerSettings(node="kitchen"))
    words = DOCUMENT["components"]["messages"]["cmd-skip"]["bindings"]["mqtt"]["responseTopic"]
    assert f"{MAX_TOPIC_BYTES} bytes" in words["description"]
    for topic in (
        *("emomusic/kitchen/result", "emomusic/kitchen/cmd/skip/result", "emomusic/kitchen/a/b/result"),
        *("emomusic/kitchen/state", "emomusic/kitchen", "emomusic-group/kitchen/result", "lamp/result"),
        *("emomusic/kitchen/+/result", "emomusic/kitchen/noresult", "emomusic/kitchen/result/set"),
    ):
        assert publisher._may_answer_on(topic) == bool(re.search(words["pattern"], topic)), topic


def test_the_will_is_the_devices() -> None:
    for server in DOCUMENT["servers"].values():
        assert server["bindings"]["mqtt"]["lastWill"] == {
            "topic": "emomusic/{node}/availability",
            "qos": 1,
            "message": "offline",
            "retain": True,
        }


def test_the_examples_of_the_document_fit_its_schemas() -> None:
    found = 0
    for message in DOCUMENT["components"]["messages"].values():
        # AsyncAPI's own schema language is draft 7 and more, which reads nothing beside a $ref.
        validator = Draft7Validator({"allOf": [message["payload"]], "components": DOCUMENT["components"]})
        for example in message["examples"]:
            validator.validate(example["payload"])
            found += 1
    assert found > len(RULES) + len(COMMANDS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_a_sound_one(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    told = {rule.name for rule in TOPICS} | {rule.address for rule in GROUP_TOPICS}
    assert name in told | {f"cmd/{command}" for command in COMMANDS}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.model], ids=lambda rule: rule.name)
def test_the_schemas_take_what_the_device_sends_and_no_more(rule: TopicRule) -> None:
    in_a_group = rule in GROUP_TOPICS
    validator = Draft202012Validator(SCHEMAS[rule.address if in_a_group else rule.name])
    for sample in samples()[rule.address]:
        payload = json.loads(sample.message.payload())
        validator.validate(payload)
        # Of a newer node more is taken in a group, as the model does.
        assert validator.is_valid({**payload, "name": "Ada"}) == in_a_group
        for field in payload:
            with pytest.raises(ValidationError):
                validator.validate({key: value for key, value in payload.items() if key != field})


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        *((name, example or "{}") for name in COMMANDS for example in COMMANDS[name].examples),
        *(("volume", text) for text in ("0", "1", "-0.1", "1.01", "true", "null", '"0.4"', '{"volume": 2}', "{}")),
        *(("camera", text) for text in ('"ON"', "1", '{"on": "ON"}', '{"on": false, "for_s": 9}')),
        *(("mode", text) for text in ('"off"', '"CALM"', '{"mode": "CALM"}')),
        *(("mood", text) for text in ("{}", '{"valence": 4}', '{"arousal": 6}', "1")),
        *(("skip", text) for text in ('{"hard": true}', "null")),
    ],
)
def test_the_schemas_of_commands_agree_with_the_device(name: str, payload: str) -> None:
    try:
        parse_command(name, payload.encode())
    except CommandError:
        taken = False
    else:
        taken = True
    try:
        value = json.loads(payload)
    except ValueError:
        value = payload  # a bare word
    assert Draft202012Validator(SCHEMAS[f"cmd/{name}"]).is_valid(value) == taken
