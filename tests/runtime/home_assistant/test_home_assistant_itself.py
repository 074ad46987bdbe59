"""Home Assistant itself, with a real mosquitto and the real publisher: what it discovers, shows, asks and forgets.

`make ha-check` sets its interpreter up and names it in HOME_ASSISTANT_PYTHON.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from broker import Broker, Listener, wait_until
from hub import Hub
from stepping_device import SteppingDevice, stepping

from emomusic_edge.contracts import (
    Dislike,
    Forget,
    Like,
    Mode,
    Pause,
    PlaybackStatus,
    Resume,
    SetCamera,
    SetMode,
    SetMood,
    SetVolume,
    Skip,
    StableAffect,
    ValenceArousal,
)
from emomusic_edge.runtime.home_assistant import components as entities_module
from emomusic_edge.runtime.home_assistant.components import components
from emomusic_edge.runtime.home_assistant.document import discovery_topic
from emomusic_edge.runtime.mqtt.broker import BrokerSettings

pytestmark = [
    pytest.mark.ha,
    pytest.mark.broker,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not os.environ.get("HOME_ASSISTANT_PYTHON"),
        reason="HOME_ASSISTANT_PYTHON names no Python that has homeassistant: make ha-check",
    ),
]


@pytest.fixture
def settings(hub_broker: Broker) -> BrokerSettings:
    return BrokerSettings(port=hub_broker.port, node="kitchen")


@pytest.fixture
def device(hub: Hub, settings: BrokerSettings, tmp_path: Path) -> Iterator[SteppingDevice]:
    """A device that Home Assistant shows; gone from it afterwards."""
    file = tmp_path / "home-assistant.json"
    with stepping(settings, file) as device:
        shows(hub, "sensor.emomusic_kitchen_valence", "1.5")
        yield device
    with stepping(settings, file, announces=False):
        wait_until(lambda: not hub.entities(), "the device to be gone")


def shows(hub: Hub, entity_id: str, expected: str) -> None:
    wait_until(
        lambda: hub.state(entity_id) == expected, lambda: f"{entity_id} {expected}; it is {hub.state(entity_id)}"
    )


def all_available(hub: Hub, settings: BrokerSettings) -> bool:
    states = hub.states()
    wanted = {entity["default_entity_id"] for entity in components(settings).values()}
    return all(states.get(name, {"state": "unavailable"})["state"] != "unavailable" for name in wanted)


def test_it_discovers_the_device_with_every_entity_available(
    hub: Hub, device: SteppingDevice, settings: BrokerSettings
) -> None:
    device.change(manual_mood=ValenceArousal(1.0, 2.0))
    wait_until(lambda: all_available(hub, settings), "every entity")
    expected = {entity["unique_id"]: entity["default_entity_id"] for entity in components(settings).values()}
    assert hub.entities() == expected
    shows(hub, "number.emomusic_kitchen_mood_valence", "1.0")
    found = hub.devices()["Emomusic kitchen"]
    assert (found["manufacturer"], found["sw_version"]) == ("emomusic-edge", "1.2.3")
    said = {name.split("emomusic_kitchen_")[1]: hub.state(name) for name in expected.values() if "button" not in name}
    assert said == {
        "valence": "1.5",
        "arousal": "3.0",
        "mood": "pleasure",
        "uncertainty": "0.4",
        "song": "Evening window",
        "frame_rate": "10.0",
        "latency": "41",
        "temperature": "48",
        "face_present": "on",
        "camera_problem": "off",
        "held": "on",
        "camera": "on",
        "playing": "on",
        "mode": "mirror",
        "volume": "60",
        "mood_valence": "1.0",
        "mood_arousal": "2.0",
    }
    assert hub.complaints() == []


def test_a_change_of_the_state_is_seen_there(hub: Hub, device: SteppingDevice) -> None:
    device.change(
        stable=StableAffect(ValenceArousal(-1.3, 3.5), ValenceArousal(0.04, 0.01), (False, False), 0.1),
        mood="misery",
        face=None,
        face_count=0,
        reasons={"camera": "no camera answers"},
    )
    shows(hub, "sensor.emomusic_kitchen_valence", "-1.3")
    shows(hub, "sensor.emomusic_kitchen_mood", "misery")
    shows(hub, "binary_sensor.emomusic_kitchen_face_present", "off")
    shows(hub, "binary_sensor.emomusic_kitchen_held", "off")
    shows(hub, "binary_sensor.emomusic_kitchen_camera_problem", "on")
    assert hub.complaints() == []


def test_what_is_not_known_is_unknown_there(hub: Hub, device: SteppingDevice) -> None:
    old = StableAffect(ValenceArousal(1.5, 3.0), ValenceArousal(0.09, 0.16), (True, True), 42.0, stale=True)
    device.change(stable=old)
    for name in ("valence", "arousal", "mood", "uncertainty"):
        shows(hub, f"sensor.emomusic_kitchen_{name}", "unknown")
    device.change(stable=None, mood=None, camera_on=False, playback=PlaybackStatus(), pace=None, manual_mood=None)
    shows(hub, "switch.emomusic_kitchen_camera", "off")
    shows(hub, "sensor.emomusic_kitchen_song", "unknown")
    shows(hub, "binary_sensor.emomusic_kitchen_held", "unknown")
    # A closed camera does not say that nobody is there.
    shows(hub, "binary_sensor.emomusic_kitchen_face_present", "unknown")
    shows(hub, "number.emomusic_kitchen_mood_arousal", "unknown")
    assert hub.complaints() == []


@pytest.mark.parametrize(
    ("service", "entity", "data", "command", "then"),
    [
        ("switch.turn_off", "switch.{}_camera", {}, SetCamera(False), "off"),
        ("switch.turn_off", "switch.{}_playing", {}, Pause(), "off"),
        ("switch.turn_on", "switch.{}_playing", {}, Resume(), "on"),
        ("select.select_option", "select.{}_mode", {"option": "calm"}, SetMode(Mode.CALM), "calm"),
        ("number.set_value", "number.{}_volume", {"value": 35}, SetVolume(0.35), "35"),
        ("number.set_value", "number.{}_mood_valence", {"value": -1.5}, SetMood(-1.5, None), "-1.5"),
        ("number.set_value", "number.{}_mood_arousal", {"value": 4}, SetMood(None, 4.0), "4.0"),
        ("button.press", "button.{}_skip", {}, Skip(), None),
        ("button.press", "button.{}_like", {}, Like(), None),
        ("button.press", "button.{}_dislike", {}, Dislike(), None),
        ("button.press", "button.{}_forget", {}, Forget(), None),
    ],
)
def test_what_is_asked_there_is_done_and_shown(
    hub: Hub, device: SteppingDevice, service: str, entity: str, data: dict[str, Any], command: object, then: str | None
) -> None:
    entity_id = entity.format("emomusic_kitchen")
    hub.call(service, entity_id, **data)
    wait_until(lambda: command in device.heard, lambda: f"{command}; heard {device.heard}")
    if then is not None:
        shows(hub, entity_id, then)
    assert hub.complaints() == []


def test_it_comes_back_after_a_restart_of_the_broker(
    hub: Hub, hub_broker: Broker, device: SteppingDevice, settings: BrokerSettings
) -> None:
    hub_broker.stop()
    shows(hub, "sensor.emomusic_kitchen_valence", "unavailable")
    hub_broker.start()  # without a memory: the document must be told anew
    shows(hub, "sensor.emomusic_kitchen_valence", "1.5")
    wait_until(lambda: all_available(hub, settings), "every entity")
    assert len(hub.entities()) == len(components(settings))
    hub.call("button.press", "button.emomusic_kitchen_skip")
    wait_until(lambda: Skip() in device.heard, "the command")
    assert hub.complaints() == []


def test_it_comes_back_after_a_restart_of_home_assistant(
    hub: Hub, device: SteppingDevice, settings: BrokerSettings
) -> None:
    before = hub.entities()
    hub.stop()
    hub.start()
    wait_until(lambda: all_available(hub, settings), "every entity")
    shows(hub, "sensor.emomusic_kitchen_valence", "1.5")
    assert hub.entities() == before
    hub.call("button.press", "button.emomusic_kitchen_skip")
    wait_until(lambda: Skip() in device.heard, "the command")
    assert hub.complaints() == []


def test_a_device_that_leaves_is_unavailable_there_and_comes_back(
    hub: Hub, settings: BrokerSettings, tmp_path: Path
) -> None:
    file = tmp_path / "home-assistant.json"
    with stepping(settings, file):
        shows(hub, "switch.emomusic_kitchen_camera", "on")
    for name in ("switch.emomusic_kitchen_camera", "sensor.emomusic_kitchen_valence", "button.emomusic_kitchen_skip"):
        shows(hub, name, "unavailable")
    with stepping(settings, file):
        shows(hub, "switch.emomusic_kitchen_camera", "on")
    with stepping(settings, file, announces=False):
        wait_until(lambda: not hub.entities() and not hub.devices(), "the device to be gone")
    assert hub.complaints() == []


def test_an_entity_of_a_former_version_is_gone(
    hub: Hub, settings: BrokerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "home-assistant.json"
    asked = entities_module._asked
    former = {"platform": "button", "name": "Rewind", "command_topic": "emomusic/kitchen/cmd/rewind"}
    with monkeypatch.context() as patched:
        patched.setattr(entities_module, "_asked", lambda settings: [*asked(settings), former])
        with stepping(settings, file):
            wait_until(lambda: "emomusic_kitchen_rewind" in hub.entities(), "the entity of the former version")
    with stepping(settings, file):
        wait_until(lambda: "emomusic_kitchen_rewind" not in hub.entities(), "the entity to be gone")
        assert len(hub.entities()) == len(components(settings))
        assert "button.emomusic_kitchen_rewind" not in hub.states()
    with stepping(settings, file, announces=False):
        wait_until(lambda: not hub.entities(), "the device to be gone")
    assert hub.complaints() == []


def test_a_device_of_another_name_leaves_nothing_of_the_old_one(
    hub: Hub, hub_broker: Broker, settings: BrokerSettings, tmp_path: Path
) -> None:
    file = tmp_path / "home-assistant.json"
    with stepping(settings, file):
        wait_until(lambda: "Emomusic kitchen" in hub.devices(), "the device")
    renamed = BrokerSettings(port=hub_broker.port, node="dining-room")
    with stepping(renamed, file):
        wait_until(lambda: list(hub.devices()) == ["Emomusic dining-room"], lambda: f"one device: {hub.devices()}")
        shows(hub, "sensor.emomusic_dining_room_valence", "1.5")
        assert all(name.startswith("emomusic_dining-room_") for name in hub.entities())
        with Listener(hub_broker) as listener:
            listener.barrier()
            kept = {heard.topic for heard in listener.all() if heard.retained}
        assert kept == {discovery_topic("homeassistant", "dining-room"), "emomusic/dining-room/availability"}
    with stepping(renamed, file, announces=False):
        wait_until(lambda: not hub.entities() and not hub.devices(), "the device to be gone")
    assert hub.complaints() == []


def kept_by(broker: Broker) -> set[str]:
    with Listener(broker) as listener:
        listener.barrier()
        return {heard.topic for heard in listener.all() if heard.retained}


@pytest.mark.parametrize("while_off", [False, True], ids=["home assistant on", "home assistant off"])
def test_a_device_that_is_renamed_keeps_its_entities_and_what_was_set_of_them(
    hub: Hub, hub_broker: Broker, tmp_path: Path, while_off: bool
) -> None:
    """The same registry entries, one customised by its owner, fed and commanded by the topics of the new name."""
    file = tmp_path / "home-assistant.json"
    first = BrokerSettings(port=hub_broker.port, node="kitchen", device_id="5f0c19aeb7d2")
    renamed = replace(first, node="dining-room")
    with stepping(first, file):
        shows(hub, "sensor.emomusic_kitchen_valence", "1.5")
        wait_until(lambda: len(hub.entities()) == len(components(first)), "every entity")
        own = {"entity_id": "sensor.emomusic_kitchen_valence", "name": "Feels like", "new_entity_id": "sensor.my_own"}
        hub.ask({"type": "config/entity_registry/update", **own})
        shows(hub, "sensor.my_own", "1.5")
        before = hub.registry()
    if while_off:
        hub.stop()
    with stepping(renamed, file) as device:
        if while_off:
            wait_until(lambda: device.reason() == "", "the connection")
            hub.start()
        wait_until(lambda: list(hub.devices()) == ["Emomusic dining-room"], lambda: f"one device: {hub.devices()}")
        device.change(stable=StableAffect(ValenceArousal(-0.7, 3.5), ValenceArousal(0.04, 0.01), (False, False), 0.1))
        shows(hub, "sensor.my_own", "-0.7")
        hub.call("button.press", "button.emomusic_kitchen_skip")
        wait_until(lambda: Skip() in device.heard, "the command")
        assert hub.registry() == before
        assert hub.states()["sensor.my_own"]["attributes"]["friendly_name"].endswith("Feels like")
        own_topics = {discovery_topic("homeassistant", "5f0c19aeb7d2"), "emomusic/dining-room/availability"}
        # What the old name left is cleared when all that the broker kept has come.
        wait_until(lambda: kept_by(hub_broker) == own_topics, lambda: f"its topics alone: {kept_by(hub_broker)}")
    with stepping(renamed, file, announces=False):
        wait_until(lambda: not hub.entities() and not hub.devices(), "the device to be gone")
    assert hub.complaints() == []


def test_what_changes_while_home_assistant_is_off_leaves_nothing_behind(
    hub: Hub, hub_broker: Broker, settings: BrokerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It removes only what it has discovered: at its start it is told once more what is gone."""
    file = tmp_path / "home-assistant.json"
    asked = entities_module._asked
    former = {"platform": "button", "name": "Rewind", "command_topic": "emomusic/kitchen/cmd/rewind"}
    with monkeypatch.context() as patched:
        patched.setattr(entities_module, "_asked", lambda settings: [*asked(settings), former])
        with stepping(settings, file):
            wait_until(lambda: "emomusic_kitchen_rewind" in hub.entities(), "the entity of the former version")
    hub.stop()
    with stepping(settings, file):
        hub.start()
        wait_until(lambda: "emomusic_kitchen_rewind" not in hub.entities(), "the entity to be gone")
        assert len(hub.entities()) == len(components(settings))
    hub.stop()
    renamed = BrokerSettings(port=hub_broker.port, node="dining-room")
    with stepping(renamed, file) as device:
        wait_until(lambda: device.reason() == "", "the connection")
        hub.start()
        wait_until(lambda: list(hub.devices()) == ["Emomusic dining-room"], lambda: f"one device: {hub.devices()}")
        wait_until(lambda: len(hub.entities()) == len(components(renamed)), lambda: f"no other: {hub.entities()}")
        assert all(name.startswith("emomusic_dining-room_") for name in hub.entities())
    with stepping(renamed, file, announces=False):
        wait_until(lambda: not hub.entities() and not hub.devices(), "the device to be gone")
    assert hub.complaints() == []


def test_what_it_complains_of_is_found(hub: Hub, hub_broker: Broker) -> None:
    """Last, as the log is never emptied: without this, no complaint could mean that none is read."""
    with Listener(hub_broker) as listener:
        listener.send(discovery_topic("homeassistant", "broken"), '{"device": {"colour": "blue"}}', retain=True)
        wait_until(hub.complaints, "the complaint")
    assert "Invalid MQTT device discovery payload" in hub.complaints()[0]
