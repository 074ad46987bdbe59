"""The page docs/mqtt.md, put together from the table of topics, the models, the commands and the settings."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator

from emomusic_edge.config.describe import known_settings
from emomusic_edge.runtime.groups.topics import GROUP_TOPICS
from emomusic_edge.runtime.mqtt.commands import COMMANDS
from emomusic_edge.runtime.mqtt.messages import CLAIM, HEALTH, MUSIC, RESULT, STATE, TOPICS, TopicRule

from . import prose
from .samples import samples
from .schemas import FieldRow, field_rows

_NODE = "living-room"
_WIDTH = 100
_DIRECTIONS = {"from": "from the device", "to": "to the device", "both": "both"}


def mqtt_markdown() -> str:
    """The whole page."""
    return "\n".join(
        [
            prose.HEAD,
            *("## Topics", "", *_topics(TOPICS), "", prose.AFTER_TOPICS),
            *("## What the device tells", ""),
            *("### availability", "", prose.AVAILABILITY),
            *("### state", "", *_message(STATE)),
            *("### music", "", *_message(MUSIC)),
            *("### health", "", *_message(HEALTH), prose.HEALTH),
            *("## Commands", "", prose.COMMANDS, *_commands(), "", prose.ANSWERS),
            *("### result", "", *_message(RESULT), prose.REFUSALS),
            *("## Two devices with one name", "", prose.CLAIM, "### claim", "", *_message(CLAIM)),
            *("## Rooms that play together", "", prose.GROUPS, *_topics(GROUP_TOPICS), ""),
            *(line for rule in GROUP_TOPICS for line in (f"### {rule.name.split('/')[0]}", "", *_message(rule))),
            *("## The way to the broker", "", prose.WAY, *_settings(), "", prose.AFTER_WAY),
            *("## When nothing comes", "", *_troubles(), ""),
        ]
    )


def _topics(rules: Iterable[TopicRule]) -> Iterator[str]:
    yield from _head("topic", "direction", "QoS", "retained", "expiry", "when")
    for rule in rules:
        yield _row(
            f"`{rule.name}`",
            _DIRECTIONS[rule.direction],
            str(rule.qos),
            "yes" if rule.retained else "no",
            "" if rule.expiry_s is None else f"{rule.expiry_s} s",
            rule.when,
        )


def _message(rule: TopicRule) -> Iterator[str]:
    assert rule.model is not None
    yield from (_one_line(rule.model.__doc__), "")
    yield from _head("field", "holds", "meaning")
    for names, row in _merged(field_rows(rule.model)):
        yield _row(", ".join(f"`{name}`" for name in names), row.kind, row.meaning)
    yield ""
    for sample in samples()[rule.address]:
        yield from (sample.caption, "", "```json", _pretty(json.loads(sample.message.payload())), "```", "")


def _merged(rows: Iterable[FieldRow]) -> Iterator[tuple[list[str], FieldRow]]:
    """Fields of one name of which the same is to be said, in one row, at the place of the first."""
    found: dict[tuple[str, str, str], tuple[list[str], FieldRow]] = {}
    for row in rows:
        same = (row.name.rsplit(".", 1)[-1], row.kind, row.meaning)
        found.setdefault(same, ([], row))[0].append(row.name)
    yield from found.values()


def _commands() -> Iterator[str]:
    yield from _head("command", "does", "payload")
    for name, payload in COMMANDS.items():
        yield _row(f"`{name}`", _one_line(payload.__doc__), payload.expected)
    yield from ("", "```sh")
    for name, payload in COMMANDS.items():
        for example in payload.examples:
            message = f"-m {shlex.quote(example)}" if example else "-n"
            yield f"mosquitto_pub -t emomusic/{_NODE}/cmd/{name} {message}"
    yield "```"


def _settings() -> Iterator[str]:
    yield from _head("setting", "meaning")
    for setting in known_settings().values():
        if setting.section == "mqtt":
            yield _row(f"`{setting.name}`", setting.meaning)


def _troubles() -> Iterator[str]:
    yield from _head("the live view or the log says", "do")
    for said, do in prose.WHEN_NOTHING_COMES:
        yield _row(f"`… {said} …`", do)


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield "|" + "---|" * len(cells)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _one_line(docstring: str | None) -> str:
    return " ".join((docstring or "").split())


def _pretty(value: object, indent: str = "") -> str:
    """JSON with each part on one line where it fits."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or len(indent) + len(flat) <= _WIDTH:
        return flat
    inner = indent + "  "
    if isinstance(value, list):
        parts = [_pretty(item, inner) for item in value]
        opening, closing = "[]"
    else:
        parts = [f"{json.dumps(key)}: {_pretty(item, inner)}" for key, item in value.items()]
        opening, closing = "{}"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{closing}"
