"""The entities that Home Assistant is told of: where each reads its value, and which command it sends.

The keys are those of Home Assistant's MQTT integration (device discovery). The release that the tests run is 2025.4.4;
2026.2.3 was run once. A template renders to `None` where there is no value: every platform used here takes that as
unknown. The templates use `get`, as Home Assistant logs a warning for each key that is missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from emomusic_edge.affect import FINDINGEMO, MOOD_LABELS
from emomusic_edge.contracts import Mode
from emomusic_edge.runtime.mqtt.broker import BrokerSettings

Component = Mapping[str, Any]
"""One entity, as it stands in the document: `platform`, `unique_id` and what its platform needs."""

# Home Assistant refuses longer states.
_LONGEST_STATE = 255
# A value outlives two repeats that were lost.
_REPEATS_BEFORE_EXPIRY = 3

# Home Assistant's recorder writes a row for each value that differs from the one before: numbers are rounded to what
# says something, and what a person does not need twice a second is read from `health`, which comes every repeat_s.
# Nothing is added to a rounded number but what turns -0.0 into 0.0.
#
# A value too old to act upon is told as unknown: an automation that reads the number alone would act upon it.
_AXIS = (
    "{{% set value = (value_json.get('{axis}') or {{}}).get('value') %}}"
    "{{{{ None if value is none or value_json.get('stale') else value | round(1) + 0 }}}}"
)
_MOOD = "{{ None if value_json.get('stale') else value_json.get('mood') }}"
_AXES = "[value_json.get('valence') or {}, value_json.get('arousal') or {}]"
_UNCERTAINTY = (
    f"{{% set sds = {_AXES} | map(attribute='sd', default=None) | select('number') | list %}}"
    "{{ sds | max | round(1) if sds and not value_json.get('stale') else None }}"
)
_HELD = (
    f"{{% set held = {_AXES} | map(attribute='held', default=None) | select('boolean') | list %}}"
    "{{ None if not held else 'ON' if true in held else 'OFF' }}"
)
# A closed camera sees nobody, which is not to say that nobody is there.
_FACE_PRESENT = (
    "{% set present = (value_json.get('face') or {}).get('present') %}"
    "{{ None if present is none or not value_json.get('camera_on') else 'ON' if present else 'OFF' }}"
)
_CAMERA_PROBLEM = (
    "{% set reasons = value_json.get('reasons') %}"
    "{{ None if reasons is none else 'ON' if reasons.get('camera') else 'OFF' }}"
)
_SONG = f"{{{{ ((value_json.get('song') or {{}}).get('title') or 'None')[:{_LONGEST_STATE}] }}}}"
_TEMPERATURE = (
    "{% set degrees = (value_json.get('thermal') or {}).get('temperature_c') %}"
    "{{ None if degrees is none else degrees | round | int }}"
)
_FRAME_RATE = (
    "{% set rate = (value_json.get('work') or {}).get('frames_per_second') %}"
    "{{ None if rate is none else (rate * 2) | round / 2 }}"
)
_LATENCY = (
    "{% set latency = (value_json.get('work') or {}).get('latency_ms') %}"
    "{{ None if latency is none else latency | round | int }}"
)
_CAMERA = "{% set on = value_json.get('camera_on') %}{{ None if on is none else 'ON' if on else 'OFF' }}"
_PLAYING = "{% set paused = value_json.get('paused') %}{{ None if paused is none else 'OFF' if paused else 'ON' }}"
_VOLUME_PERCENT = (
    "{% set volume = value_json.get('volume') %}{{ None if volume is none else (volume * 100) | round | int }}"
)
_MANUAL_AXIS = "{{{{ (value_json.get('manual_mood') or {{}}).get('{axis}') }}}}"


def slug(text: str) -> str:
    """Lower case, with `_` for all that an entity id may not hold: `living-room` becomes `living_room`."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def device_name(node: str) -> str:
    """What Home Assistant calls the device; entity ids begin with the slug of its first one."""
    return f"Emomusic {node}"


def device_key(settings: BrokerSettings) -> str:
    """By what Home Assistant knows the device again: it outlives another name."""
    return settings.device_id or settings.node


def unique_id(device: str, name: str) -> str:
    """By what Home Assistant knows an entity again; `name` is the slug of the entity's name."""
    return f"emomusic_{device}_{name}"


def components(settings: BrokerSettings) -> dict[str, Component]:
    """All entities of a device, by an id that stays the same as long as the entity is the same.

    Args:
        settings: the node, its topics and how often it repeats itself.
    """
    return {
        f"{entity['platform']}_{slug(entity['name'])}": _with_ids(entity, settings)
        for entity in (*_told(settings), *_asked(settings))
    }


def _with_ids(entity: Component, settings: BrokerSettings) -> Component:
    name = slug(entity["name"])
    return {
        **entity,
        "unique_id": unique_id(device_key(settings), name),
        # Home Assistant before 2025.10 makes the same id of the names, and passes over this key. An entity that
        # is there already keeps the id that it has.
        "default_entity_id": f"{entity['platform']}.{slug(device_name(settings.node))}_{name}",
        # Of each subscription and each command.
        "qos": 1,
    }


def _told(settings: BrokerSettings) -> list[Component]:
    """What the device tells: sensors that expire when nothing comes any more."""
    state, music, health = (settings.topic(name) for name in ("state", "music", "health"))
    expires = {"expire_after": math.ceil(_REPEATS_BEFORE_EXPIRY * settings.repeat_s)}

    def sensor(name: str, topic: str, template: str, icon: str, **others: Any) -> Component:
        told = {"state_topic": topic, "value_template": template, "icon": icon}
        return {"platform": "sensor", "name": name, **told, **expires, **others}

    def binary_sensor(name: str, topic: str, template: str, **others: Any) -> Component:
        told = {"state_topic": topic, "value_template": template}
        return {"platform": "binary_sensor", "name": name, **told, **expires, **others}

    # What people felt has no state_class: Home Assistant would keep statistics of it for ever.
    measured = {"state_class": "measurement", "entity_category": "diagnostic"}
    duration = {"device_class": "duration", "unit_of_measurement": "ms"}
    temperature = {"device_class": "temperature", "unit_of_measurement": "°C"}
    return [
        sensor("Valence", state, _AXIS.format(axis="valence"), "mdi:emoticon-outline", suggested_display_precision=1),
        sensor("Arousal", state, _AXIS.format(axis="arousal"), "mdi:pulse", suggested_display_precision=1),
        sensor("Mood", state, _MOOD, "mdi:emoticon-outline", device_class="enum", options=list(MOOD_LABELS)),
        sensor("Uncertainty", state, _UNCERTAINTY, "mdi:plus-minus-variant", suggested_display_precision=1),
        sensor("Song", music, _SONG, "mdi:music-note"),
        sensor(
            "Frame rate",
            health,
            _FRAME_RATE,
            "mdi:speedometer",
            unit_of_measurement="fps",
            suggested_display_precision=1,
            **measured,
        ),
        sensor(
            "Latency",
            health,
            _LATENCY,
            "mdi:timer-outline",
            suggested_display_precision=0,
            **duration,
            **measured,
        ),
        sensor(
            "Temperature",
            health,
            _TEMPERATURE,
            "mdi:thermometer",
            suggested_display_precision=0,
            **temperature,
            **measured,
        ),
        binary_sensor("Face present", state, _FACE_PRESENT, device_class="occupancy"),
        binary_sensor("Camera problem", health, _CAMERA_PROBLEM, device_class="problem", entity_category="diagnostic"),
        binary_sensor("Held", state, _HELD, icon="mdi:hand-back-right-outline", entity_category="diagnostic"),
    ]


def _asked(settings: BrokerSettings) -> list[Component]:
    """What may be asked of the device; see runtime/mqtt/commands.py for what each command takes."""
    state, music = settings.topic("state"), settings.topic("music")

    def button(name: str, icon: str, **others: Any) -> Component:
        topic = settings.topic(f"cmd/{slug(name)}")
        # Of itself Home Assistant sends PRESS, which the commands refuse.
        return {
            "platform": "button",
            "name": name,
            "command_topic": topic,
            "payload_press": "{}",
            "icon": icon,
        } | others

    def mood(axis: str) -> Component:
        return {
            "platform": "number",
            "name": f"Mood {axis}",
            "command_topic": settings.topic("cmd/mood"),
            "command_template": f'{{"{axis}": {{{{ value }}}}}}',
            "state_topic": state,
            "value_template": _MANUAL_AXIS.format(axis=axis),
            "min": getattr(FINDINGEMO.low, axis),
            "max": getattr(FINDINGEMO.high, axis),
            "step": 0.1,
            "mode": "slider",
            "icon": "mdi:tune",
        }

    return [
        {
            "platform": "switch",
            "name": "Camera",
            "command_topic": settings.topic("cmd/camera"),
            "state_topic": state,
            "value_template": _CAMERA,
            "icon": "mdi:camera",
        },
        {
            "platform": "switch",
            "name": "Playing",
            "command_topic": settings.topic("cmd/playing"),
            "state_topic": music,
            "value_template": _PLAYING,
            "icon": "mdi:play-pause",
        },
        {
            "platform": "select",
            "name": "Mode",
            "command_topic": settings.topic("cmd/mode"),
            "state_topic": state,
            "value_template": "{{ value_json.get('mode') }}",
            "options": [mode.value for mode in Mode],
            "icon": "mdi:playlist-music",
        },
        {
            "platform": "number",
            "name": "Volume",
            "command_topic": settings.topic("cmd/volume"),
            "command_template": "{{ value / 100 }}",
            "state_topic": music,
            "value_template": _VOLUME_PERCENT,
            "unit_of_measurement": "%",
            "min": 0,
            "max": 100,
            "step": 1,
            "mode": "slider",
            "icon": "mdi:volume-high",
        },
        mood("valence"),
        mood("arousal"),
        button("Skip", "mdi:skip-next"),
        button("Like", "mdi:thumb-up-outline"),
        button("Dislike", "mdi:thumb-down-outline"),
        button("Forget", "mdi:eraser", entity_category="config"),
    ]
