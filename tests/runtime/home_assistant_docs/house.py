"""A home in Home Assistant: the page's blueprints and recorder, lamps and a telephone; the device is the test's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from blueprint_files import FOLDER
from broker import Listener, wait_until
from hub import Hub
from pages import blocks, text_of

from emomusic_edge.runtime.mqtt.broker import BrokerSettings

ROOM = "emomusic_living_room"
RUNNING = "running"
# A lamp whose colours are few, one that is merely on, one that shows brightness and colour, one that shows brightness
# alone, and one that is off. An automation comes to them in this order.
LAMPS: dict[str, dict[str, Any]] = {
    "narrow": {
        "supported_color_modes": ["color_temp"],
        "color_temp_kelvin": True,
        "min_kelvin": 2700,
        "max_kelvin": 3000,
    },
    "simple": {"supported_color_modes": ["onoff"], "brightness": False},
    "colour": {"supported_color_modes": ["color_temp"]},
    "plain": {"supported_color_modes": ["brightness"]},
    "off": {"supported_color_modes": ["color_temp"]},
}
INPUTS: dict[str, dict[str, Any]] = {
    "lights_follow_the_mood": {
        "valence": f"sensor.{ROOM}_valence",
        "arousal": f"sensor.{ROOM}_arousal",
        "uncertainty": f"sensor.{ROOM}_uncertainty",
        "held": f"binary_sensor.{ROOM}_held",
        "lights": [f"light.{lamp}" for lamp in LAMPS],
        "rest": 0,
    },
    "quiet_hours": {"mode_select": f"select.{ROOM}_mode", "volume": f"number.{ROOM}_volume"},
    "pause_when_nobody_is_home": {"playing": f"switch.{ROOM}_playing", "people": ["person.sample"], "patience": 0},
    "announce_the_camera": {
        "camera": f"switch.{ROOM}_camera",
        "more": [{"action": "mqtt.publish", "data": {"topic": "telephone", "payload": "{{ words }}"}}],
    },
}


class House:
    """A home with the device in it, its automations made of the blueprints."""

    def __init__(self, hub: Hub, folder: Path, listener: Listener, port: int) -> None:
        self.hub = hub
        self.database = folder / "home-assistant_v2.db"
        self.settings = BrokerSettings(port=port, node="living-room")
        self.listener = listener
        self._automations = folder / "automations.yaml"
        blueprints = folder / "blueprints" / "automation" / "emomusic"
        shutil.copytree(FOLDER, blueprints)
        (folder / "configuration.yaml").open("a").write(
            "automation: !include automations.yaml\n"
            "person: [{id: sample, name: Sample, device_trackers: [device_tracker.telephone]}]\n"
            + next(block for block in blocks(text_of("docs/home-assistant.md"), "yaml") if block.startswith("recorder"))
        )
        self.write({})

    def write(self, inputs: dict[str, dict[str, Any]]) -> None:
        """Have these automations and no others; JSON is YAML."""
        told = [
            {"id": name, "alias": name, "use_blueprint": {"path": f"emomusic/{name}.yaml", "input": values}}
            for name, values in inputs.items()
        ]
        self._automations.write_text(json.dumps(told), encoding="utf-8")

    def automate(self, name: str, **others: Any) -> None:
        """Have one automation, from now on."""
        self.write({name: INPUTS[name] | others})
        self.hub.ask({"type": "call_service", "domain": "automation", "service": "reload"})
        self.shows(f"automation.{name}", "on")

    def shows(self, entity_id: str, expected: str) -> None:
        wait_until(
            lambda: self.hub.state(entity_id) == expected,
            lambda: f"{entity_id} {expected}; it is {self.hub.state(entity_id)}",
        )

    def runs(self, name: str) -> str:
        """When an automation last ran, or RUNNING."""
        told = self.hub.states()[f"automation.{name}"]["attributes"]
        return RUNNING if told["current"] else str(told["last_triggered"])

    def furnish(self) -> None:
        """Make the lamps and the telephone known, over MQTT as the device is."""
        for lamp, kind in LAMPS.items():
            told = {"schema": "json", "unique_id": lamp, "name": lamp, "brightness": True}
            topics = {"command_topic": f"lamp/{lamp}/set", "state_topic": f"lamp/{lamp}"}
            config = told | topics | kind
            self.listener.send(f"homeassistant/light/{lamp}/config", json.dumps(config), retain=True)
        config = {"unique_id": "telephone", "name": "telephone", "state_topic": "telephone/at"}
        self.listener.send("homeassistant/device_tracker/telephone/config", json.dumps(config), retain=True)
        for entity in (*(f"light.{lamp}" for lamp in LAMPS), "device_tracker.telephone"):
            wait_until(lambda entity=entity: self.hub.state(entity) != "gone", entity)
        self.somebody_is("home")

    def somebody_is(self, place: str) -> None:
        self.listener.send("telephone/at", place, retain=True)
        self.shows("person.sample", place)

    def light(self, lamp: str, **state: Any) -> None:
        """Let a lamp say what it shows."""
        self.listener.send(f"lamp/{lamp}", json.dumps(state), retain=True)
        self.shows(f"light.{lamp}", state["state"].lower())

    def asked(self, lamp: str) -> list[Any]:
        return [heard.json for heard in self.listener.all(f"lamp/{lamp}/set")]
