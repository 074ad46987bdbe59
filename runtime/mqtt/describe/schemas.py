"""The payloads as JSON Schema, and their fields in words for people, both read off the models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic.json_schema import JsonSchemaMode, JsonSchemaValue, models_json_schema

from emomusic_edge.runtime.groups.topics import GROUP_TOPICS
from emomusic_edge.runtime.mqtt.commands import COMMANDS, CommandPayload
from emomusic_edge.runtime.mqtt.messages import AVAILABILITY, OFFLINE, ONLINE, TOPICS, Message

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SWITCH_WORDS = ("ON", "OFF")


@dataclass(frozen=True, slots=True)
class FieldRow:
    """A field of a message, for a table.

    Attributes:
        name: with dots: `valence.value`.
        kind: what it holds, in words: `number, 0 to 1, or null`.
        meaning: one sentence or two.
    """

    name: str
    kind: str
    meaning: str


def message_schemas() -> dict[str, JsonSchemaValue]:
    """The JSON Schema (draft 2020-12) of each topic's payload, by its name; of a group's topics by the full one."""
    schemas: dict[str, JsonSchemaValue] = {AVAILABILITY.name: availability_schema()}
    for rule in TOPICS:
        if rule.model is not None:
            schemas[rule.name] = rule.model.model_json_schema(mode="serialization")
    for rule in GROUP_TOPICS:
        if rule.model is not None:
            schemas[rule.address] = rule.model.model_json_schema(mode="serialization")
    for name, payload in COMMANDS.items():
        whole = payload.model_json_schema()
        inner = {"$defs": whole.pop("$defs")} if "$defs" in whole else {}
        schemas[f"cmd/{name}"] = {**inner, **command_schema(payload, whole)}
    return {name: {"$schema": _DIALECT, **schema} for name, schema in schemas.items()}


def definitions(ref_template: str) -> dict[str, JsonSchemaValue]:
    """The schemas of all messages, payloads of commands and their parts, by the model's name.

    Args:
        ref_template: how one refers to another, e.g. `#/components/schemas/{model}`.
    """
    told: list[tuple[type[Message], JsonSchemaMode]] = [
        (rule.model, "serialization") for rule in (*TOPICS, *GROUP_TOPICS) if rule.model is not None
    ]
    asked: list[tuple[type[Message], JsonSchemaMode]] = [(payload, "validation") for payload in COMMANDS.values()]
    _, schema = models_json_schema([*told, *asked], ref_template=ref_template)
    found: dict[str, JsonSchemaValue] = schema["$defs"]
    return found


def availability_schema() -> JsonSchemaValue:
    """That of the one payload that is plain text."""
    return {"type": "string", "enum": [ONLINE, OFFLINE], "description": "Whether the device is there."}


def command_schema(
    payload: type[CommandPayload], whole: JsonSchemaValue, *, whole_as: JsonSchemaValue | None = None
) -> JsonSchemaValue:
    """The schema of what a command takes: the object, or its one value bare.

    Args:
        payload: the command's model.
        whole: the schema of the object.
        whole_as: what to write in its place, where it stands elsewhere.
    """
    shown = whole if whole_as is None else whole_as
    if payload.bare is None:
        return shown
    bare = whole["properties"][payload.bare]
    if bare.get("type") == "boolean":
        bare = {"type": "string", "enum": list(_SWITCH_WORDS)}
    return {"description": whole["description"], "oneOf": [shown, bare]}


def field_rows(model: type[Message]) -> list[FieldRow]:
    """All fields of a message in their order, those of parts after the part."""
    schema = model.model_json_schema(mode="serialization")
    return list(_rows(schema, schema.get("$defs", {}), ""))


def _rows(schema: JsonSchemaValue, definitions: Mapping[str, JsonSchemaValue], prefix: str) -> Iterator[FieldRow]:
    for name, field in schema["properties"].items():
        key = f"{prefix}{name}"
        inner = _resolved(_not_null(field), definitions)
        # pydantic says it once where the field's words are those of its model.
        yield FieldRow(key, _kind(field, definitions), field.get("description") or inner["description"])
        if inner.get("type") == "array":
            inner, key = _resolved(inner["items"], definitions), f"{key}[]"
        elif isinstance(inner.get("additionalProperties"), dict):
            inner, key = _resolved(inner["additionalProperties"], definitions), f"{key}.<part>"
        if "properties" in inner:
            yield from _rows(inner, definitions, f"{key}.")


def _kind(field: JsonSchemaValue, definitions: Mapping[str, JsonSchemaValue]) -> str:
    schema = _resolved(_not_null(field), definitions)
    or_null = ", or null" if "anyOf" in field else ""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"]) + or_null
    match schema["type"]:
        case "array":
            items = _resolved(schema["items"], definitions)
            kind = "list" if "properties" in items else f"list of {_kind(items, definitions)}"
        case "object":
            kind = "object"
        case "boolean":
            kind = "true or false"
        case "string":
            kind = "time" if schema.get("format") == "date-time" else "text"
        case number:
            kind = ("whole number" if number == "integer" else "number") + _bounds(schema)
    return kind + or_null


def _bounds(schema: JsonSchemaValue) -> str:
    # All digits: a bound that is rounded is no bound.
    low, high = (None if bound is None else f"{bound:.15g}" for bound in map(schema.get, ("minimum", "maximum")))
    if low is not None and high is not None:
        return f", {low} to {high}"
    return "" if low is None else f", {low} or more"


def _not_null(field: JsonSchemaValue) -> JsonSchemaValue:
    choices = field.get("anyOf", [field])
    return next(choice for choice in choices if choice.get("type") != "null")


def _resolved(schema: JsonSchemaValue, definitions: Mapping[str, JsonSchemaValue]) -> JsonSchemaValue:
    return definitions[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
