"""Two real mosquittos and a bridge between them, with the lines of docs/fleet.md: a device here is seen there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker, Listener, wait_until
from pages import blocks, text_of
from sample_snapshot import SNAPSHOT

from emomusic_edge.contracts import Pause
from emomusic_edge.runtime.fleet.watch import FleetWatch
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher

pytestmark = pytest.mark.broker

ADDRESS = "address broker.building:8883"
TLS = "bridge_cafile /etc/mosquitto/building-ca.pem"


def bridge_of_the_page(port: int) -> list[str]:
    """The bridge's lines as the page has them, to a broker on this machine instead of one behind TLS."""
    (block,) = [block for block in blocks(text_of("docs/fleet.md"), "text") if "bridge_protocol_version" in block]
    lines = block.splitlines()
    assert {ADDRESS, TLS} <= set(lines)
    return [f"address 127.0.0.1:{port}" if line == ADDRESS else line for line in lines if line != TLS]


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[tuple[Broker, Broker]]:
    """The building's and the floor's."""
    (tmp_path / "building").mkdir()
    (tmp_path / "floor").mkdir()
    building = Broker(tmp_path / "building")
    floor = Broker(tmp_path / "floor", *bridge_of_the_page(building.port))
    building.start()
    floor.start()
    yield building, floor
    floor.stop()
    building.stop()


def test_a_device_of_the_floor_is_seen_and_obeys_in_the_building(brokers: tuple[Broker, Broker]) -> None:
    building, floor = brokers
    publisher = MqttPublisher(BrokerSettings(port=floor.port, node="hall", repeat_s=0.5))
    publisher.start()
    try:
        with Listener(building) as listener, FleetWatch(BrokerSettings(port=building.port)) as watch:

            def seen() -> bool:
                publisher.publish(SNAPSHOT)
                with watch.roster() as (roster, now_s):
                    return [(node.name, node.standing(now_s), node.told_all) for node in roster.nodes()] == [
                        ("hall", "online", True)
                    ]

            wait_until(seen, "the device to be seen through the bridge")
            errand = watch.ask(["hall"], "pause", b"", 20.0)
            assert [outcome.answer for outcome in errand.outcomes()] == ["ok"]
            assert publisher.commands() == (Pause(),)
            # What may not be retained is not retained behind the bridge either.
            with Listener(building) as late:
                late.barrier()
                kept = {heard.topic for heard in late.all() if heard.retained}
                assert kept & {topic for topic in listener.topics() if topic.startswith("emomusic/")} == {
                    "emomusic/hall/availability"
                }
    finally:
        publisher.close()
    with Listener(building) as listener:
        listener.wait("emomusic/hall/availability", lambda heard: heard.payload == b"offline")


def test_the_floor_does_not_hear_what_the_building_has_beside_commands(brokers: tuple[Broker, Broker]) -> None:
    building, floor = brokers
    with Listener(building) as above, Listener(floor) as below:
        # A command that came through shows that the bridge stands; what was sent before it had its chance.
        def through() -> bool:
            above.send("emomusic/elsewhere/state", json.dumps({"mode": "mirror"}))
            above.send("emomusic/hall/cmd/skip")
            return "emomusic/hall/cmd/skip" in below.topics()

        wait_until(through, "a command to come down the bridge")
        assert "emomusic/elsewhere/state" not in below.topics()
