"""The document for Home Assistant: by the rules of its schema, and with templates that stand any message of ours."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_snapshot import SNAPSHOT
from schema_rules import violations

from emomusic_edge.affect import MOOD_LABELS
from emomusic_edge.config.mqtt import NODE_PATTERN
from emomusic_edge.contracts import (
    Mode,
    Pace,
    PlaybackStatus,
    Segment,
    SetMood,
    SetVolume,
    StableAffect,
    StateSnapshot,
    ValenceArousal,
)
from emomusic_edge.runtime.home_assistant.components import components, device_name, slug
from emomusic_edge.runtime.home_assistant.document import discovery_topic, document, serial_in, with_removals
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.commands import COMMANDS, MAX_PAYLOAD_BYTES, parse_command
from emomusic_edge.runtime.mqtt.messages import TOPICS, health_message, music_message, state_message

AT = datetime(2026, 11, 22, 22, 5, 7, tzinfo=timezone.utc)
SETTINGS = BrokerSettings(node="kitchen")
NODES = st.from_regex(NODE_PATTERN, fullmatch=True)
SERIAL = "0123456789ab"


class Complaining(jinja2.Undefined):
    """As strict as Home Assistant is talkative: whatever it would log a warning about fails here."""

    __str__ = __bool__ = __iter__ = __len__ = __contains__ = jinja2.StrictUndefined.__str__


JINJA = jinja2.Environment(undefined=Complaining)


def described(settings: BrokerSettings = SETTINGS) -> dict[str, Any]:
    return document(settings, version="1.2.3", serial=SERIAL)


def shown(snapshot: StateSnapshot) -> dict[str, str]:
    """What each entity shows of a snapshot, as the templates make it."""
    told = {
        "state": state_message(snapshot, AT).payload(),
        "music": music_message(snapshot, AT).payload(),
        "health": health_message(snapshot, AT).payload(),
    }
    return {
        name: rendered(entity["value_template"], json.loads(told[entity["state_topic"].rsplit("/", 1)[1]]))
        for name, entity in components(SETTINGS).items()
        if "value_template" in entity
    }


def rendered(template: str, message: dict[str, Any]) -> str:
    return compiled(template).render(value_json=message)


@functools.cache
def compiled(template: str) -> jinja2.Template:
    return JINJA.from_string(template)


@given(NODES)
def test_any_node_is_described_by_home_assistants_rules(node: str) -> None:
    made = described(BrokerSettings(node=node))
    assert violations(discovery_topic("homeassistant", node), made) == []
    # We listen to our own topic, and the broker sends us nothing larger.
    assert len(json.dumps(made)) < MAX_PAYLOAD_BYTES
    # Home Assistant before 2025.10 makes the entity id of the two names.
    for entity in made["components"].values():
        expected = f"{entity['platform']}.{slug(device_name(node))}_{slug(entity['name'])}"
        assert entity["default_entity_id"] == expected


def test_the_rules_find_what_is_wrong() -> None:
    made = described()
    made["colour"] = "blue"
    entities = dict(made["components"])
    entities["sensor_valence"] = {**entities["sensor_valence"], "options": ["a"], "qos": 3}
    entities["select_mode"] = {"platform": "select", "command_topic": "a/+/b", "unique_id": "emomusic_kitchen_mode"}
    entities["button_like"] = {**entities["button_skip"], "entity_category": "nonsense"}
    found = violations("homeassistant/device/a b/config", made | {"components": entities})
    assert set(found) == {
        "homeassistant/device/a b/config is no topic of device discovery",
        "the document knows no colour",
        "sensor_valence: qos is none of 0, 1, 2",
        "sensor_valence: options go with device_class enum only",
        "select_mode: options is missing",
        "select_mode: command_topic 'a/+/b' is no topic to publish to",
        "button_like: entity_category is not allowed here",
        "button_like: unique_id emomusic_kitchen_skip is taken",
    }


def test_removals_are_told_with_nothing_but_their_platform() -> None:
    made = with_removals(described(), {"button_rewind": "button"})
    assert violations(discovery_topic("homeassistant", "kitchen"), made) == []
    assert made["components"]["button_rewind"] == {"platform": "button"}
    assert made["components"].keys() == {*described()["components"], "button_rewind"}


def test_what_people_felt_makes_no_statistics_there() -> None:
    for name in ("sensor_valence", "sensor_arousal", "sensor_uncertainty", "sensor_mood"):
        assert "state_class" not in described()["components"][name]


def test_every_topic_is_one_of_the_device() -> None:
    known = {SETTINGS.topic(rule.name) for rule in TOPICS} | {SETTINGS.topic(f"cmd/{name}") for name in COMMANDS}
    made = described()
    named = {value for entity in components(SETTINGS).values() for key, value in entity.items() if "topic" in key}
    assert named | {made["availability_topic"]} <= known


def test_a_whole_state_is_shown_whole() -> None:
    warm = replace(SNAPSHOT, pace=Pace(frames_per_second=10.0, temperature_c=48.5), manual_mood=None)
    assert shown(warm) == {
        "sensor_valence": "1.5",
        "sensor_arousal": "3.0",
        "sensor_mood": "pleasure",
        "sensor_uncertainty": "0.4",
        "sensor_song": "Evening window",
        "sensor_frame_rate": "10.0",
        "sensor_latency": "41",
        "sensor_temperature": "48",
        "binary_sensor_face_present": "ON",
        "binary_sensor_camera_problem": "OFF",
        "binary_sensor_held": "ON",
        "switch_camera": "ON",
        "switch_playing": "ON",
        "select_mode": "mirror",
        "number_volume": "60",
        "number_mood_valence": "None",
        "number_mood_arousal": "None",
    }


def test_nothing_is_invented_before_the_first_estimate() -> None:
    told = shown(StateSnapshot(seq=0, t_s=0.0, mode=Mode.MIRROR))
    unknown = {name for name, value in told.items() if value == "None"}
    assert unknown == {
        *("sensor_valence", "sensor_arousal", "sensor_mood", "sensor_uncertainty", "sensor_song"),
        *("sensor_temperature", "binary_sensor_held", "number_mood_valence", "number_mood_arousal"),
    }


def test_a_feeling_too_old_to_act_upon_is_unknown() -> None:
    assert SNAPSHOT.stable is not None
    told = shown(replace(SNAPSHOT, stable=replace(SNAPSHOT.stable, stale=True)))
    assert {told[f"sensor_{name}"] for name in ("valence", "arousal", "mood", "uncertainty")} == {"None"}


def test_a_closed_camera_does_not_say_that_nobody_is_there() -> None:
    assert shown(replace(SNAPSHOT, camera_on=False, face=None))["binary_sensor_face_present"] == "None"
    assert shown(replace(SNAPSHOT, face=None))["binary_sensor_face_present"] == "OFF"


def test_a_camera_that_fails_is_a_problem() -> None:
    assert shown(replace(SNAPSHOT, reasons={"camera": "gone"}))["binary_sensor_camera_problem"] == "ON"
    assert shown(replace(SNAPSHOT, reasons={"audio": "gone"}))["binary_sensor_camera_problem"] == "OFF"


def test_what_trembles_costs_the_recorder_no_rows() -> None:
    """Home Assistant's recorder writes a row for each value that is another than before."""
    assert SNAPSHOT.stable is not None
    told: dict[str, set[str]] = {}
    for off in (-0.04, -0.02, 0.0, 0.03, 0.04):
        stable = replace(SNAPSHOT.stable, mean=ValenceArousal(off, 3.0 + off))
        pace = Pace(frames_per_second=10.0, temperature_c=48.0 + 5 * off)
        rate, latency_ms = 10.0 + 5 * off, 41.0 + 5 * off
        trembling = replace(SNAPSHOT, stable=stable, pace=pace, frames_per_second=rate, latency_ms=latency_ms)
        for name, value in shown(trembling).items():
            told.setdefault(name, set()).add(value)
    assert {name for name, values in told.items() if len(values) > 1} == set()
    assert (told["sensor_valence"], told["sensor_frame_rate"]) == ({"0.0"}, {"10.0"})


def test_what_a_person_needs_not_twice_a_second_is_read_from_health() -> None:
    """At a repeat of 10 s that is at most 8,640 rows a day of each, where `state` would cost up to 172,800."""
    topics = {name: entity.get("state_topic") for name, entity in components(SETTINGS).items()}
    for name in ("frame_rate", "latency", "temperature"):
        assert topics[f"sensor_{name}"] == SETTINGS.topic("health")


FINITE = st.floats(-1e3, 1e3)
POINTS = st.builds(ValenceArousal, FINITE, FINITE)
SPREADS = st.builds(ValenceArousal, st.floats(0.0, 1e3), st.floats(0.0, 1e3))
STABLE = st.builds(
    StableAffect, POINTS, SPREADS, st.tuples(st.booleans(), st.booleans()), st.floats(0.0, 1e3), stale=st.booleans()
)
TITLES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=400)
SONGS = TITLES.map(lambda title: Segment("a", 0.0, 15.0, 0.1, 0.1, Path("a.ogg"), 45.0, title=title))
SNAPSHOTS = st.builds(
    StateSnapshot,
    seq=st.just(0),
    t_s=st.just(0.0),
    mode=st.sampled_from(Mode),
    camera_on=st.booleans(),
    face=st.sampled_from([None, SNAPSHOT.face]),
    stable=st.none() | STABLE,
    mood=st.none() | st.sampled_from(MOOD_LABELS),
    playback=st.builds(PlaybackStatus, segment=st.none() | SONGS, paused=st.booleans(), volume=st.floats(0.0, 1.0)),
    reasons=st.dictionaries(st.sampled_from(["camera", "audio"]), TITLES),
)


@given(SNAPSHOTS)
def test_every_entity_takes_what_any_state_shows(snapshot: StateSnapshot) -> None:
    told = shown(snapshot)
    for name, entity in components(SETTINGS).items():
        value = told.get(name)
        if value is None or value == "None":
            continue
        assert len(value) <= 255, name
        if "options" in entity:
            assert value in entity["options"], name
        elif entity["platform"] in ("switch", "binary_sensor"):
            assert value in ("ON", "OFF"), name
        elif entity["platform"] == "number":
            assert entity["min"] <= float(value) <= entity["max"], name
        elif name != "sensor_song":
            float(value)


@given(st.sampled_from([state_message, music_message, health_message]), st.data())
def test_a_message_of_another_version_is_stood(message: Any, data: st.DataObject) -> None:
    """Fields that are missing, or null, cost a value and never an error."""
    told = json.loads(message(SNAPSHOT, AT).payload())
    lost = data.draw(st.sets(st.sampled_from(sorted(told))))
    for field in lost:
        if data.draw(st.booleans()):
            told[field] = None
        else:
            del told[field]
        if isinstance(inner := told.get(field), dict) and inner:
            del inner[data.draw(st.sampled_from(sorted(inner)))]
    topic = SETTINGS.topic(message.__name__.removesuffix("_message"))
    for entity in components(SETTINGS).values():
        if entity.get("state_topic") == topic:
            rendered(entity["value_template"], told)


@pytest.mark.parametrize("name", ["sensor_valence", "sensor_uncertainty", "binary_sensor_held"])
def test_an_axis_without_its_numbers_is_unknown(name: str) -> None:
    template = components(SETTINGS)[name]["value_template"]
    assert rendered(template, {"valence": {}, "arousal": {}}) == "None"


def command_of(name: str, **values: Any) -> Any:
    """What the device understands when an entity is used; the platform sends a whole number as one."""
    entity = components(SETTINGS)[name]
    payload = entity.get("payload_press", "")
    if "command_template" in entity:
        payload = JINJA.from_string(entity["command_template"]).render(**values)
    return parse_command(entity["command_topic"].rsplit("/", 1)[1], payload.encode())


@given(st.integers(0, 100))
def test_volume_is_asked_in_percent(percent: int) -> None:
    assert command_of("number_volume", value=percent) == SetVolume(percent / 100)


@given(st.integers(-30, 30), st.integers(0, 60))
def test_the_mood_is_asked_axis_by_axis(valence: int, arousal: int) -> None:
    assert command_of("number_mood_valence", value=valence / 10) == SetMood(valence / 10, None)
    assert command_of("number_mood_arousal", value=arousal / 10) == SetMood(None, arousal / 10)


@pytest.mark.parametrize("name", ["skip", "like", "dislike", "forget"])
def test_buttons_are_understood(name: str) -> None:
    assert command_of(f"button_{name}") == parse_command(name, b"")


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"null", b'{"device": 3}', b'{"device": {"serial_number": 3}}', b"\xff"]
)
def test_a_strange_document_is_not_ours(payload: bytes) -> None:
    assert serial_in(payload) == ""


def test_our_own_document_is_known_again() -> None:
    assert serial_in(json.dumps(described()).encode()) == SERIAL
