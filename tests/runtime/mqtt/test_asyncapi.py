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
from emomusic_edge.runtime.mqtt.commands import COMMANDS, CommandError, parse_command
from emomusic_edge.runtime.mqtt.describe import asyncapi_document, message_schemas
from emomusic_edge.runtime.mqtt.describe.samples import samples
from emomusic_edge.runtime.mqtt.messages import COMMAND, RESULT, TOPICS

DOCUMENT = asyncapi_document()
SCHEMAS = message_schemas()
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
    addresses = {channel["address"].removeprefix("emomusic/{node}/") for channel in DOCUMENT["channels"].values()}
    commands = {f"cmd/{name}" for name in COMMANDS}
    others = {rule.name.replace("<name>", "{command}") for rule in TOPICS if rule is not COMMAND}
    assert addresses == commands | others


def test_operations_are_those_of_the_table_of_topics() -> None:
    operations = DOCUMENT["operations"]
    for operation in operations.values():
        channel = operation["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])
        assert set(operation["bindings"]["mqtt"]) <= OPERATION_WORDS
    for rule in TOPICS:
        if rule is COMMAND:
            continue
        name = "result" if rule is RESULT else rule.name
        binding = operations[f"send-{name}"]["bindings"]["mqtt"]
        assert (binding["qos"], binding["retain"]) == (rule.qos, rule.retained)
        assert binding.get("messageExpiryInterval") == rule.expiry_s
        assert (f"receive-{name}" in operations) == (rule.direction == "both")
    for name in COMMANDS:
        operation = operations[f"receive-{name}"]
        assert operation["action"] == "receive"
        assert resolved(operation["channel"]["$ref"])["address"] == f"emomusic/{{node}}/cmd/{name}"
        assert operation["reply"]["channel"] == {"$ref": "#/channels/result"}


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
    assert found > len(TOPICS) + len(COMMANDS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_a_sound_one(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert name in {rule.name for rule in TOPICS} | {f"cmd/{command}" for command in COMMANDS}


@pytest.mark.parametrize("name", samples())
def test_the_schemas_take_what_the_device_sends_and_no_more(name: str) -> None:
    validator = Draft202012Validator(SCHEMAS[name])
    for sample in samples()[name]:
        payload = json.loads(sample.message.payload())
        validator.validate(payload)
        with pytest.raises(ValidationError):
            validator.validate({**payload, "name": "Ada"})
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
