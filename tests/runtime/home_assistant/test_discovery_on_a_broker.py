"""Discovery over the real publisher and a real mosquitto, as any program sees it that knows Home Assistant's topics."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from broker import Broker, Listener, wait_until
from schema_rules import violations
from stepping_device import stepping

from emomusic_edge.runtime.home_assistant.document import discovery_topic
from emomusic_edge.runtime.mqtt.broker import BrokerSettings

pytestmark = pytest.mark.broker

KITCHEN = discovery_topic("homeassistant", "kitchen")
NODE = "emomusic/kitchen"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home-assistant.json"


def settings(broker: Broker, node: str = "kitchen", protocol: str = "5") -> BrokerSettings:
    return BrokerSettings(port=broker.port, node=node, protocol=protocol)  # type: ignore[arg-type]


def kept(broker: Broker) -> set[str]:
    """The topics that the broker has something retained on."""
    with Listener(broker) as late:
        late.barrier()
        return {heard.topic for heard in late.all() if heard.retained and heard.payload}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_discovery_comes_before_availability_and_state(
    broker: Broker, listener: Listener, file: Path, protocol: str
) -> None:
    with stepping(settings(broker, protocol=protocol), file):
        listener.wait(f"{NODE}/music")
    told = [topic for topic in listener.topics() if topic in (KITCHEN, f"{NODE}/availability", f"{NODE}/state")]
    assert told[:3] == [KITCHEN, f"{NODE}/availability", f"{NODE}/state"]
    document = listener.all(KITCHEN)[0]
    assert document.retained
    assert violations(KITCHEN, document.json) == []


def test_a_start_of_home_assistant_is_answered_with_everything(broker: Broker, listener: Listener, file: Path) -> None:
    with stepping(settings(broker), file):
        listener.wait(f"{NODE}/music")
        listener.send("homeassistant/status", "online")
        listener.wait(f"{NODE}/music", count=2)
    told = [topic for topic in listener.topics() if topic.startswith((NODE, "homeassistant/device"))]
    rest = told[told.index(KITCHEN, told.index(KITCHEN) + 1) :]
    order = [KITCHEN, *(f"{NODE}/{name}" for name in ("availability", "health", "state", "music"))]
    assert [topic for topic in rest if topic in order][:5] == order


def test_a_broker_without_a_memory_is_told_again(broker: Broker, file: Path) -> None:
    with stepping(settings(broker), file) as device:
        wait_until(lambda: device.reason() == "", "the connection")
        broker.stop()
        broker.start()
        wait_until(lambda: KITCHEN in kept(broker), "the document")


def test_another_name_leaves_nothing_behind(broker: Broker, file: Path) -> None:
    with stepping(settings(broker), file):
        wait_until(lambda: kept(broker) == {KITCHEN, f"{NODE}/availability"}, "the device")
    attic = {discovery_topic("homeassistant", "attic"), "emomusic/attic/availability"}
    with stepping(settings(broker, "attic"), file):
        wait_until(lambda: kept(broker) == attic, lambda: f"only the attic: {kept(broker)}")
    with stepping(settings(broker, "attic"), file, announces=False):
        wait_until(lambda: kept(broker) == {"emomusic/attic/availability"}, "no document")


def test_a_name_that_another_took_is_left_alone(broker: Broker, listener: Listener, file: Path, tmp_path: Path) -> None:
    with stepping(settings(broker), file):
        listener.wait(KITCHEN)
    with stepping(settings(broker), tmp_path / "other.json"), stepping(settings(broker, "attic"), file):
        listener.wait("emomusic/attic/music")
        first, second = (json.loads(heard.payload)["device"]["serial_number"] for heard in listener.all(KITCHEN)[:2])
        assert first != second
        # Long enough for what would be cleared to be cleared: the documents of a node that was given up.
        with stepping(settings(broker, "cellar"), tmp_path / "third.json"):
            listener.wait("emomusic/cellar/music")
        with stepping(settings(broker, "loft"), tmp_path / "third.json"):
            wait_until(lambda: discovery_topic("homeassistant", "cellar") not in kept(broker), "the cellar to be gone")
        assert {KITCHEN, f"{NODE}/availability"} <= kept(broker)


def test_two_machines_with_one_card_are_told(broker: Broker, file: Path, tmp_path: Path) -> None:
    """A card that was copied as it is, and given another host name: id and file are the same, the name is not."""
    with stepping(BrokerSettings(port=broker.port, node="kitchen", device_id="5f0c"), file) as first:
        wait_until(lambda: first.reason() == "", "the connection")
        shutil.copy(file, tmp_path / "copy.json")
        copied = BrokerSettings(port=broker.port, node="attic", device_id="5f0c")
        with stepping(copied, tmp_path / "copy.json") as second:
            told = "announces itself to Home Assistant as '5f0c' too"
            wait_until(lambda: told in first.reason() or told in second.reason(), "one of them to tell")
