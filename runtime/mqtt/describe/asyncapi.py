"""The topics as an AsyncAPI 3.0 document, seen from the device: it sends what it tells and receives commands.

The specification: AsyncAPI 3.0.0, and its MQTT bindings 0.2.0.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from emomusic_edge import __version__
from emomusic_edge.config.mqtt import MQTT_PORT, MQTT_TLS_PORT, NODE_PATTERN
from emomusic_edge.runtime.groups.topics import GROUP_TOPICS
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.client import WILL_DELAY_S
from emomusic_edge.runtime.mqtt.commands import COMMANDS, MAX_PAYLOAD_BYTES, CommandPayload
from emomusic_edge.runtime.mqtt.messages import (
    AVAILABILITY,
    COMMAND,
    OFFLINE,
    ONLINE,
    RESULT,
    TOPICS,
    TopicRule,
)
from emomusic_edge.runtime.mqtt.publisher import MAX_CORRELATION_BYTES, MAX_TOPIC_BYTES

from .samples import samples
from .schemas import availability_schema, command_schema, definitions

_BINDING_VERSION = "0.2.0"
_SCHEMAS = "#/components/schemas/"
_PARAMETERS: dict[str, dict[str, Any]] = {
    "node": {
        "description": f"The device's name, `mqtt.node` in its settings: {NODE_PATTERN}",
        "examples": ["living-room"],
    },
    "command": {"enum": list(COMMANDS), "description": "The command that is answered."},
    "group": {
        "description": f"The group's name, `group.name` in the settings of each of its nodes: {NODE_PATTERN}",
        "examples": ["downstairs"],
    },
    "run": {"description": "The run that it goes to: eight hexadecimal digits.", "examples": ["5c01a2f3"]},
}

_Json = dict[str, Any]


def asyncapi_document() -> _Json:
    """The document, ready for json.dumps."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "emomusic-edge over MQTT",
            "version": __version__,
            "description": "What the device tells the smart home, and what may be asked of it. What it tells of people "
            "is an estimate with an uncertainty, for wellbeing at home: no diagnosis, no judgement of anybody, and "
            "never retained. docs/mqtt.md says the same for people.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "encrypted": _server(MQTT_TLS_PORT, "secure-mqtt", "The usual way: the broker's certificate is verified."),
            "local": _server(MQTT_PORT, "mqtt", "Without encryption: only for a broker on the device itself."),
        },
        "channels": {**_told_channels(), **_command_channels()},
        "operations": {**_told_operations(), **_command_operations()},
        "components": {
            "messages": {**_told_messages(), **_command_messages()},
            "schemas": definitions(_SCHEMAS + "{model}"),
            "securitySchemes": {
                "login": {"type": "userPassword", "description": "`mqtt.username` and its password, where set."},
                "certificate": {"type": "X509", "description": "`mqtt.client_cert_file`, where the broker wants one."},
            },
        },
    }


def _server(port: int, protocol: str, description: str) -> _Json:
    return {
        "host": f"{{host}}:{port}",
        "protocol": protocol,
        "protocolVersion": "5",
        "description": description,
        "variables": {"host": {"default": "localhost", "description": "The broker."}},
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("login", "certificate")],
        "bindings": _binding(
            clientId="emomusic-{node}-{run}",
            keepAlive=BrokerSettings().keepalive_s,
            sessionExpiryInterval=WILL_DELAY_S,
            maximumPacketSize=MAX_PAYLOAD_BYTES,
            lastWill={
                "topic": _address(AVAILABILITY),
                "qos": AVAILABILITY.qos,
                "message": OFFLINE,
                "retain": AVAILABILITY.retained,
            },
        ),
    }


# What the device tells


def _rules() -> list[TopicRule]:
    return [rule for rule in (*TOPICS, *GROUP_TOPICS) if rule is not COMMAND]


def _key(rule: TopicRule) -> str:
    if rule is RESULT:
        return "result"
    name = rule.name.split("/")[0]
    return f"group-{name}" if rule in GROUP_TOPICS else name


def _told_channels() -> _Json:
    channels: _Json = {}
    for rule in _rules():
        address = _address(rule)
        channels[_key(rule)] = {
            "address": address,
            "description": f"Told {rule.when}.",
            "parameters": {name: _PARAMETERS[name] for name in re.findall(r"{(\w+)}", address)},
            "messages": {_key(rule): {"$ref": f"#/components/messages/{_key(rule)}"}},
        }
    return channels


def _told_operations() -> _Json:
    operations: _Json = {}
    for rule in _rules():
        actions = ("send", "receive") if rule.direction == "both" else ("send",)
        for action in actions:
            operations[f"{action}-{_key(rule)}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{_key(rule)}"},
                "messages": [{"$ref": f"#/channels/{_key(rule)}/messages/{_key(rule)}"}],
                "bindings": _operation_binding(rule),
            }
    return operations


def _told_messages() -> _Json:
    messages: _Json = {}
    for rule in _rules():
        key = _key(rule)
        if rule.model is None:
            messages[key] = {
                "name": key,
                "summary": "Whether the device is there.",
                "contentType": "text/plain",
                "payload": availability_schema(),
                "examples": [{"payload": ONLINE}, {"payload": OFFLINE}],
            }
            continue
        messages[key] = {
            "name": key,
            "summary": " ".join((rule.model.__doc__ or "").split()),
            "payload": {"$ref": f"{_SCHEMAS}{rule.model.__name__}"},
            "examples": [
                {"summary": sample.caption.rstrip(":"), "payload": json.loads(sample.message.payload())}
                for sample in samples()[rule.address]
            ],
        }
    messages["result"]["correlationId"] = _CORRELATION
    return messages


# What may be asked

_ANSWERED_ON = "^emomusic/[^/+#]+/([^+#]*/)?result$"
_CORRELATION = {
    "description": "MQTT 5's correlation data: the answer carries that of its command.",
    "location": "$message.header#/correlationData",
}


def _command_channels() -> _Json:
    return {
        f"cmd-{name}": {
            "address": _address(replace(COMMAND, name=f"cmd/{name}")),
            "parameters": {"node": _PARAMETERS["node"]},
            "messages": {name: {"$ref": f"#/components/messages/cmd-{name}"}},
        }
        for name in COMMANDS
    }


def _command_operations() -> _Json:
    return {
        f"receive-{name}": {
            "action": "receive",
            "summary": _summary(payload),
            "channel": {"$ref": f"#/channels/cmd-{name}"},
            "messages": [{"$ref": f"#/channels/cmd-{name}/messages/{name}"}],
            "bindings": _operation_binding(COMMAND),
            "reply": {
                "channel": {"$ref": "#/channels/result"},
                "messages": [{"$ref": "#/channels/result/messages/result"}],
            },
        }
        for name, payload in COMMANDS.items()
    }


def _command_messages() -> _Json:
    schemas = definitions(_SCHEMAS + "{model}")
    messages: _Json = {}
    for name, payload in COMMANDS.items():
        model = payload.__name__
        messages[f"cmd-{name}"] = {
            "name": name,
            "summary": _summary(payload),
            "description": f"Send {payload.expected}.",
            "payload": command_schema(payload, schemas[model], whole_as={"$ref": f"{_SCHEMAS}{model}"}),
            "correlationId": _CORRELATION,
            "bindings": _binding(
                correlationData={
                    "type": "string",
                    "description": f"Comes back with the answer (MQTT 5), up to {MAX_CORRELATION_BYTES} bytes.",
                },
                responseTopic={
                    "type": "string",
                    "pattern": _ANSWERED_ON,
                    "description": "Where the answer is awaited (MQTT 5): under the device's own `emomusic/{node}/`, "
                    f"with `result` as the last level, {MAX_TOPIC_BYTES} bytes at most. For any other, and without "
                    "one, it comes on the result channel, with the correlation data all the same.",
                },
            ),
            "examples": [{"payload": _as_value(example)} for example in payload.examples],
        }
    return messages


def _summary(payload: type[CommandPayload]) -> str:
    return " ".join((payload.__doc__ or "").split())


def _as_value(example: str) -> object:
    """What a payload means as JSON: a bare word is a string, nothing at all an empty object."""
    try:
        return json.loads(example or "{}")
    except ValueError:
        return example


# What all share


def _address(rule: TopicRule) -> str:
    return re.sub(r"<(\w+)>", r"{\1}", rule.address.replace("<name>", "{command}"))


def _operation_binding(rule: TopicRule) -> _Json:
    expiry = {} if rule.expiry_s is None else {"messageExpiryInterval": rule.expiry_s}
    return _binding(qos=rule.qos, retain=rule.retained, **expiry)


def _binding(**words: Any) -> _Json:
    return {"mqtt": {**words, "bindingVersion": _BINDING_VERSION}}
