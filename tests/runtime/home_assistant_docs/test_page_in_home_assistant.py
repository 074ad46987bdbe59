"""The blueprints and the history of the page in Home Assistant itself, with a real mosquitto and the real publisher.

`make ha-check` sets its interpreter up and names it in HOME_ASSISTANT_PYTHON.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from broker import DEADLINE_S, Broker, Listener, wait_until
from house import LAMPS, ROOM, RUNNING, House
from hub import Hub
from of_people import OF_PEOPLE
from stepping_device import SteppingDevice, stepping

from emomusic_edge.contracts import Mode, Pause, PlaybackStatus, Resume, SetMode, SetVolume, StableAffect
from emomusic_edge.contracts import ValenceArousal as Point

PYTHON = os.environ.get("HOME_ASSISTANT_PYTHON", "")
pytestmark = [
    pytest.mark.ha,
    pytest.mark.broker,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not PYTHON, reason="HOME_ASSISTANT_PYTHON names no Python that has homeassistant: make ha-check"
    ),
]

# As sure as the starter models are of the demo's clip: what their own gates let through.
SURE = Point(0.86, 1.25)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    folder = tmp_path_factory.mktemp("hub")
    hub = Hub(PYTHON, folder)
    broker.start()
    with Listener(broker) as listener:
        house = House(hub, folder, listener, broker.port)
        try:
            hub.start()
            hub.join_broker(broker.port)
            house.furnish()
            yield house
        finally:
            hub.stop()
            broker.stop()


@pytest.fixture
def device(house: House, tmp_path: Path) -> Iterator[SteppingDevice]:
    with stepping(house.settings, tmp_path / "home-assistant.json") as device:
        device.change(stable=StableAffect(Point(0.0, 3.0), SURE, (False, False), 0.1))
        house.shows(f"sensor.{ROOM}_valence", "0.0")
        house.shows(f"switch.{ROOM}_playing", "on")
        yield device
    house.write({})
    house.hub.ask({"type": "call_service", "domain": "automation", "service": "reload"})
    assert house.hub.complaints() == []


def feel(house: House, device: SteppingDevice, valence: float, arousal: float, **others: Any) -> None:
    affect = StableAffect(Point(valence, arousal), SURE, (False, False), 0.1)
    device.change(stable=replace(affect, **others))
    house.shows(f"sensor.{ROOM}_valence", str(valence))


def test_lights_follow_the_mood_in_clear_steps_while_the_device_is_sure(house: House, device: SteppingDevice) -> None:
    house.light("colour", state="ON", brightness=255, color_mode="color_temp", color_temp=250)
    house.light("plain", state="ON", brightness=255, color_mode="brightness")
    house.light("off", state="OFF")
    house.automate("lights_follow_the_mood")
    feel(house, device, 3.0, 6.0)
    first = house.listener.wait("lamp/colour/set").json
    assert (first["state"], first["brightness"], first["transition"]) == ("ON", round(255 * 0.8), 5)
    assert first["color_temp"] == pytest.approx(1e6 / 2200, abs=1)
    plain = house.listener.wait("lamp/plain/set").json
    assert "color_temp" not in plain
    for lamp, shown in (("colour", {"color_mode": "color_temp", "color_temp": 454}), ("plain", {})):
        house.light(lamp, state="ON", brightness=204, **({"color_mode": "brightness"} | shown))
    counted = {lamp: len(house.asked(lamp)) for lamp in LAMPS}

    # Too small a change, an uncertain one, a held one, an old one: each would have gone out before the last.
    feel(house, device, 2.9, 5.9)
    feel(house, device, -2.9, 0.1, variance=Point(9.5, 1.25))
    feel(house, device, -2.8, 0.1, held=(True, False))
    device.change(stable=StableAffect(Point(-2.7, 0.1), SURE, (False, False), 40.0, stale=True))
    house.shows(f"sensor.{ROOM}_valence", "unknown")
    feel(house, device, 3.0, 0.0)
    last = house.listener.wait("lamp/colour/set", count=counted["colour"] + 1).json
    assert last["brightness"] == round(255 * 0.25)
    assert last["color_temp"] == pytest.approx(1e6 / 2200, abs=1)
    house.listener.wait("lamp/plain/set", count=counted["plain"] + 1)
    assert house.asked("off") == []


def test_a_lamp_of_few_colours_is_asked_for_one_that_it_has_and_only_once(house: House, device: SteppingDevice) -> None:
    house.light("narrow", state="ON", brightness=128, color_mode="color_temp", color_temp=3000)
    house.light("simple", state="ON")
    house.light("colour", state="ON", brightness=128, color_mode="color_temp", color_temp=250)
    house.light("plain", state="OFF")
    house.light("off", state="OFF")
    house.automate("lights_follow_the_mood")
    before = len(house.asked("narrow"))
    # The wish is 2200 K, and half of the brightness.
    feel(house, device, 3.0, 3.0)
    asked = house.listener.wait("lamp/narrow/set", count=before + 1).json
    assert asked["color_temp"] == 2700
    house.light("narrow", state="ON", brightness=asked["brightness"], color_mode="color_temp", color_temp=2700)
    # Four more runs, each told by the other lamp, which never obeys.
    for valence in (2.9, 3.0, 2.9, 3.0):
        runs = len(house.asked("colour"))
        feel(house, device, valence, 3.0)
        house.listener.wait("lamp/colour/set", count=runs + 1)
    assert len(house.asked("narrow")) == before + 1
    assert house.asked("simple") == []


def test_quiet_hours_begin_and_end(house: House, device: SteppingDevice) -> None:
    in_time = Clock(house, device)
    in_time.until("from_time", SetMode(Mode.CALM))
    assert device.heard == [SetVolume(0.2), SetMode(Mode.CALM)]
    in_time.until("to_time", SetMode(Mode.MIRROR))
    assert device.heard[2:] == [SetVolume(0.5), SetMode(Mode.MIRROR)]


def test_a_device_that_was_away_when_the_night_began_is_made_quiet_when_it_comes(house: House, tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    house.shows(f"select.{ROOM}_mode", "unavailable")
    soon = {"from_time": clock_time(now + timedelta(seconds=5)), "to_time": clock_time(now + timedelta(hours=1))}
    house.automate("quiet_hours", **soon)
    wait_until(lambda: house.runs("quiet_hours") == RUNNING, "the night")
    with stepping(house.settings, tmp_path / "home-assistant.json") as device:
        wait_until(lambda: SetMode(Mode.CALM) in device.heard, lambda: f"quiet; heard {device.heard}")
        house.shows(f"select.{ROOM}_mode", "calm")
        assert device.heard == [SetVolume(0.2), SetMode(Mode.CALM)]


def test_a_quiet_device_that_starts_anew_at_night_is_made_quiet_again(house: House, tmp_path: Path) -> None:
    file = tmp_path / "home-assistant.json"
    house.automate("quiet_hours", **in_the_night())
    with stepping(house.settings, file):
        house.shows(f"select.{ROOM}_mode", "mirror")
        house.hub.call("select.select_option", f"select.{ROOM}_mode", option="calm")
        house.shows(f"select.{ROOM}_mode", "calm")
    went_away(house)
    with stepping(house.settings, file) as device:
        wait_until(lambda: SetMode(Mode.CALM) in device.heard, lambda: f"quiet; heard {device.heard}")
        house.shows(f"select.{ROOM}_mode", "calm")
        assert device.heard == [SetVolume(0.2), SetMode(Mode.CALM)]
    went_away(house)
    # One that is off when it comes back stays off.
    device = SteppingDevice(house.settings, file)
    device.change(mode=Mode.OFF)
    device.start()
    try:
        has_looked(house, "off")
        assert device.heard == []
    finally:
        device.close()


def test_what_was_chosen_at_night_outlives_any_absence(house: House, tmp_path: Path) -> None:
    file = tmp_path / "home-assistant.json"
    house.automate("quiet_hours", **in_the_night())
    with stepping(house.settings, file):
        house.shows(f"select.{ROOM}_mode", "mirror")
    went_away(house)
    with stepping(house.settings, file) as device:
        has_looked(house, "mirror")
        assert device.heard == []


def in_the_night() -> dict[str, str]:
    """Quiet hours that began an hour ago."""
    now = datetime.now(timezone.utc)
    return {"from_time": clock_time(now - timedelta(hours=1)), "to_time": clock_time(now + timedelta(hours=1))}


def went_away(house: House) -> None:
    """The device is gone, and the automation waits for it."""
    house.shows(f"select.{ROOM}_mode", "unavailable")
    wait_until(lambda: house.runs("quiet_hours") == RUNNING, "the automation to wait")


def has_looked(house: House, mode: str) -> None:
    """The device is back in this mode, and the automation has seen it."""
    house.shows(f"select.{ROOM}_mode", mode)
    wait_until(lambda: house.runs("quiet_hours") != RUNNING, "the automation to have looked")


class Clock:
    """Nobody can set Home Assistant's clock: its automation is set to the next seconds instead, until one is met."""

    def __init__(self, house: House, device: SteppingDevice) -> None:
        self._house = house
        self._device = device

    def until(self, name: str, command: object) -> None:
        for _ in range(10):
            now = datetime.now(timezone.utc)
            other = {"from_time": now - timedelta(hours=1), "to_time": now + timedelta(hours=1)}
            times = other | {name: now + timedelta(seconds=4)}
            self._house.automate("quiet_hours", **{key: clock_time(value) for key, value in times.items()})
            end = now + timedelta(seconds=DEADLINE_S / 2)
            while datetime.now(timezone.utc) < end:
                if command in self._device.heard:
                    return
        pytest.fail(f"{command} never came; heard {self._device.heard}")


def clock_time(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S")


def test_it_pauses_when_the_last_has_left_and_goes_on_when_somebody_is_back(
    house: House, device: SteppingDevice
) -> None:
    house.automate("pause_when_nobody_is_home")
    house.somebody_is("not_home")
    house.shows(f"switch.{ROOM}_playing", "off")
    assert device.heard == [Pause()]
    house.somebody_is("home")
    house.shows(f"switch.{ROOM}_playing", "on")
    assert device.heard == [Pause(), Resume()]


def test_what_somebody_paused_before_stays_paused(house: House, device: SteppingDevice) -> None:
    house.automate("pause_when_nobody_is_home")
    house.hub.call("switch.turn_off", f"switch.{ROOM}_playing")
    house.shows(f"switch.{ROOM}_playing", "off")
    for place in ("not_home", "home"):
        house.somebody_is(place)
    house.hub.call("switch.turn_on", f"switch.{ROOM}_playing")
    house.shows(f"switch.{ROOM}_playing", "on")
    # All that it does comes of the second time that the house is empty.
    for place, playing in (("not_home", "off"), ("home", "on")):
        house.somebody_is(place)
        house.shows(f"switch.{ROOM}_playing", playing)
    assert device.heard == [Pause(), Resume(), Pause(), Resume()]


def test_a_device_that_comes_back_to_an_empty_home_pauses_too(house: House, tmp_path: Path) -> None:
    left_without(house)
    with stepping(house.settings, tmp_path / "home-assistant.json") as device:
        wait_until(lambda: Pause() in device.heard, lambda: f"the pause; heard {device.heard}")
        house.shows(f"switch.{ROOM}_playing", "off")
        house.somebody_is("home")
        house.shows(f"switch.{ROOM}_playing", "on")
        assert device.heard == [Pause(), Resume()]


def test_a_device_that_comes_back_paused_or_to_somebody_is_left_alone(house: House, tmp_path: Path) -> None:
    left_without(house)
    device = SteppingDevice(house.settings, tmp_path / "home-assistant.json")
    device.change(camera_on=False, playback=PlaybackStatus(paused=True))
    device.start()
    try:
        house.shows(f"switch.{ROOM}_playing", "off")
        wait_until(lambda: house.runs("pause_when_nobody_is_home") != RUNNING, "the automation to have looked")
        house.somebody_is("home")
    finally:
        device.close()
    left_without(house)
    house.somebody_is("home")
    wait_until(lambda: house.runs("pause_when_nobody_is_home") != RUNNING, "the automation to have given up")
    with stepping(house.settings, tmp_path / "home-assistant.json") as playing:
        house.shows(f"switch.{ROOM}_playing", "on")
        # All that it does comes of the next time that the house is empty.
        house.somebody_is("not_home")
        house.shows(f"switch.{ROOM}_playing", "off")
        house.somebody_is("home")
        house.shows(f"switch.{ROOM}_playing", "on")
        assert playing.heard == [Pause(), Resume()]
    assert device.heard == []


def left_without(house: House) -> None:
    """The last has left while the device was away, and the automation waits for it."""
    house.automate("pause_when_nobody_is_home")
    house.shows(f"switch.{ROOM}_playing", "unavailable")
    house.somebody_is("not_home")
    wait_until(lambda: house.runs("pause_when_nobody_is_home") == RUNNING, "the automation to wait")


def test_the_history_leaves_out_what_tells_of_people(house: House, device: SteppingDevice) -> None:
    assert house.database.exists(), (
        "This Home Assistant has no recorder, so what it keeps cannot be seen. `make ha-check` installs what the "
        "recorder needs: remove the folder that it made and call it again."
    )
    for valence in (0.5, 1.0, 1.5):
        feel(house, device, valence, 3.0)
    # It writes in the order of what happens: when the last is there, all before it is.
    device.change(playback=PlaybackStatus(volume=0.71))
    kept: set[str] = set()

    def written() -> bool:
        with closing(sqlite3.connect(f"file:{house.database}?mode=ro", uri=True)) as database:
            rows = set(
                database.execute("SELECT states_meta.entity_id, state FROM states JOIN states_meta USING (metadata_id)")
            )
        kept.update(name.split("living_room_")[1] for name, _ in rows if ROOM in name)
        return (f"number.{ROOM}_volume", "71") in rows

    wait_until(written, lambda: f"the recorder; it has {sorted(kept)}")
    assert {"latency", "mode", "playing"} <= kept
    assert not kept & OF_PEOPLE


def test_the_camera_is_announced_when_it_is_switched_on(house: House, device: SteppingDevice) -> None:
    house.automate("announce_the_camera")
    house.hub.call("switch.turn_off", f"switch.{ROOM}_camera")
    house.shows(f"switch.{ROOM}_camera", "off")
    assert house.listener.all("telephone") == []
    house.hub.call("switch.turn_on", f"switch.{ROOM}_camera")
    told = house.listener.wait("telephone").payload.decode()
    assert "estimates how the people in the room seem to feel" in told
    (note,) = house.hub.ask({"type": "persistent_notification/get"})
    assert note["message"] == told


def test_a_camera_that_is_on_after_an_absence_or_a_restart_is_announced(house: House, tmp_path: Path) -> None:
    file = tmp_path / "home-assistant.json"
    house.automate("announce_the_camera")
    house.shows(f"switch.{ROOM}_camera", "unavailable")
    told = len(house.listener.all("telephone"))
    # One that comes back with the camera closed has nothing to announce.
    device = SteppingDevice(house.settings, file)
    device.change(camera_on=False)
    device.start()
    house.shows(f"switch.{ROOM}_camera", "off")
    device.close()
    house.shows(f"switch.{ROOM}_camera", "unavailable")
    with stepping(house.settings, file):
        house.listener.wait("telephone", count=told + 1)
        house.hub.stop()
        house.hub.start()
        house.listener.wait("telephone", count=told + 2)
    house.write({})
    house.hub.ask({"type": "call_service", "domain": "automation", "service": "reload"})


def test_an_automation_that_fails_is_complained_of(house: House, tmp_path: Path) -> None:
    """Last, as the log is never emptied: without this, no complaint could mean that none is read."""
    house.light("plain", state="ON", brightness=255, color_mode="brightness")
    house.automate("lights_follow_the_mood", dimmest="dark")
    with stepping(house.settings, tmp_path / "home-assistant.json") as device:
        device.change(stable=StableAffect(Point(1.0, 3.0), SURE, (False, False), 0.1))
        wait_until(house.hub.complaints, "the complaint")
    assert any("automation.lights_follow_the_mood" in line for line in house.hub.complaints())
    assert not any("emomusic" in line for line in house.hub.complaints())
    house.write({})
    house.hub.ask({"type": "call_service", "domain": "automation", "service": "reload"})
