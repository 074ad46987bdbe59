"""What MQTT 5 adds (expiry, response topic, no-local), that 3.1.1 does without, and what must never be retained."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from broker import DEADLINE_S, Broker, Listener, wait_until
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from sample_snapshot import SNAPSHOT

from emomusic_edge.contracts import Pause, Skip
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.inbox import CommandRate
from emomusic_edge.runtime.mqtt.publisher import MAX_CORRELATION_BYTES, MqttPublisher

NODE = "emomusic/kitchen"


@contextmanager
def publishing(broker: Broker, **others: object) -> Iterator[MqttPublisher]:
    settings = BrokerSettings(port=broker.port, node="kitchen", **others)  # type: ignore[arg-type]
    publisher = MqttPublisher(settings, rate=CommandRate(1e6, 10**6))
    publisher.start()
    try:
        wait_until(lambda: publisher.reason() == "", lambda: f"the connection; it says: {publisher.reason()}")
        yield publisher
    finally:
        publisher.close()


class Asker:
    """A client that sends MQTT 5 requests and keeps whole messages, with their properties."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[MQTTMessage] = []
        ready = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5, transport="unix")
        self.client.on_message = lambda _client, _userdata, message: self.heard.append(message)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect(str(broker.unix_socket))
        self.client.subscribe("#", qos=1)
        self.client.loop_start()
        assert ready.wait(DEADLINE_S)

    def ask(self, name: str, payload: str, response_topic: str, correlation: bytes) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = response_topic
        properties.CorrelationData = correlation
        self.client.publish(f"{NODE}/cmd/{name}", payload, 1, properties=properties)

    def wait(self, topic: str) -> MQTTMessage:
        wait_until(lambda: any(message.topic == topic for message in list(self.heard)), f"a message on {topic}")
        return next(message for message in self.heard if message.topic == topic)

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.broker
def test_an_answer_goes_where_it_is_awaited_with_what_marks_it(broker: Broker) -> None:
    with publishing(broker) as publisher, Asker(broker) as asker:
        asker.ask("skip", "", f"{NODE}/asker/result", b"question-1")
        answer = asker.wait(f"{NODE}/asker/result")
        assert json.loads(answer.payload)["ok"]
        assert answer.properties.CorrelationData == b"question-1"
        assert list(publisher.commands()) == [Skip()]
        assert not [message for message in asker.heard if message.topic == f"{NODE}/cmd/skip/result"]


@pytest.mark.broker
def test_correlation_data_comes_back_as_far_as_it_is_of_a_fair_size(broker: Broker) -> None:
    with publishing(broker), Asker(broker) as asker:
        for size, name in ((MAX_CORRELATION_BYTES, "fits"), (MAX_CORRELATION_BYTES + 1, "long")):
            asker.ask("skip", "", f"{NODE}/{name}/result", b"x" * size)
        assert len(asker.wait(f"{NODE}/fits/result").properties.CorrelationData) == MAX_CORRELATION_BYTES
        answer = asker.wait(f"{NODE}/long/result")
        assert json.loads(answer.payload)["ok"]
        assert not hasattr(answer.properties, "CorrelationData")


@pytest.mark.broker
@pytest.mark.parametrize(
    "forbidden",
    [
        f"{NODE}/cmd/pause",
        "emomusic/bedroom/cmd/pause",
        f"{NODE}/state",
        "emomusic-group/home/leader",
        "homeassistant/device/x/config",
        "homeassistant/status",
        "$SYS/broker",
        "zigbee2mqtt/lamp/set",
        "emomusic/bedroom/cmd/pause/result",
        f"{NODE}/{'x' * 300}/result",
    ],
)
def test_an_answer_is_never_made_another_s_command(broker: Broker, forbidden: str) -> None:
    """Who may send us commands must not speak through us where they may not speak themselves."""
    with publishing(broker) as publisher, Asker(broker) as asker:
        asker.ask("volume", "7", forbidden, b"x")
        # Where it comes instead it still says which question it answers.
        assert asker.wait(f"{NODE}/cmd/volume/result").properties.CorrelationData == b"x"
        assert not [message for message in asker.heard if message.topic == forbidden and b"ok" in message.payload]
        assert list(publisher.commands()) == []


@pytest.mark.broker
def test_what_tells_of_feelings_expires(broker: Broker) -> None:
    with publishing(broker) as publisher, Asker(broker) as asker:
        publisher.publish(SNAPSHOT)
        for name in ("state", "music", "health"):
            assert 0 < asker.wait(f"{NODE}/{name}").properties.MessageExpiryInterval <= 30


@pytest.mark.broker
def test_mqtt_3_1_1_does_the_same_without_what_it_lacks(broker: Broker, listener: Listener) -> None:
    with publishing(broker, protocol="3.1.1") as publisher:

        def told() -> bool:
            publisher.publish(SNAPSHOT)
            return bool(listener.all(f"{NODE}/state"))

        wait_until(told, "the state")
        listener.send(f"{NODE}/cmd/skip")
        assert listener.wait(f"{NODE}/cmd/skip/result").json["ok"]
        assert list(publisher.commands()) == [Skip()]
    listener.wait(f"{NODE}/availability", lambda heard: heard.payload == b"offline")


@pytest.mark.broker
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("topic", ["state", "music", "health"])
def test_a_feeling_that_another_had_kept_is_cleared_on_connecting(
    broker: Broker, listener: Listener, protocol: str, topic: str
) -> None:
    listener.send(f"{NODE}/{topic}", '{"mood": "misery"}', retain=True)
    listener.barrier()
    with publishing(broker, protocol=protocol):
        listener.wait(f"{NODE}/{topic}", lambda heard: heard.payload == b"")
    assert kept(broker) == {f"{NODE}/availability"}


@pytest.mark.broker
@pytest.mark.parametrize("name", ["pause", "forget"])
def test_pause_and_forget_clear_what_was_kept_meanwhile(broker: Broker, listener: Listener, name: str) -> None:
    with publishing(broker) as publisher:
        publisher.publish(SNAPSHOT)
        # Not delivered to the device as retained: only asking again finds it.
        for topic in ("state", "music"):
            listener.send(f"{NODE}/{topic}", '{"mood": "misery"}', retain=True)
        listener.barrier()
        listener.send(f"{NODE}/cmd/{name}")
        listener.wait(f"{NODE}/cmd/{name}/result")
        assert len(publisher.commands()) == 1
        for topic in ("state", "music"):
            listener.wait(f"{NODE}/{topic}", lambda heard: heard.payload == b"")
        assert kept(broker) == {f"{NODE}/availability"}


@pytest.mark.broker
def test_a_command_sent_to_be_kept_is_refused_and_cleared(broker: Broker, listener: Listener) -> None:
    with publishing(broker) as publisher:
        listener.send(f"{NODE}/cmd/pause", "{}", retain=True)
        assert not listener.wait(f"{NODE}/cmd/pause/result").json["ok"]
        listener.wait(f"{NODE}/cmd/pause", lambda heard: heard.payload == b"")
        assert list(publisher.commands()) == []
        assert kept(broker) == {f"{NODE}/availability"}
        # The clearing itself is no command.
        listener.send(f"{NODE}/cmd/pause")
        listener.wait(f"{NODE}/cmd/pause/result", count=2)
        assert list(publisher.commands()) == [Pause()]


def kept(broker: Broker) -> set[str]:
    with Listener(broker) as late:
        late.barrier()
        return {message.topic for message in late.all() if message.retained and message.payload}


@pytest.mark.broker
def test_a_broker_that_lets_us_write_nothing_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("acl")
    access = folder / "acl"
    access.write_text("topic read #\n")
    broker = Broker(folder, f"acl_file {access}")
    broker.start()
    try:
        publisher = MqttPublisher(BrokerSettings(port=broker.port, node="kitchen"))
        publisher.start()
        wait_until(lambda: "takes nothing from us on emomusic/kitchen/" in publisher.reason(), "the refusal")
        publisher.close()
    finally:
        broker.stop()


@pytest.mark.broker
def test_a_broker_that_lets_us_hear_nothing_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    """mosquitto grants every subscription and then passes nothing on."""
    folder = tmp_path_factory.mktemp("acl")
    access = folder / "acl"
    access.write_text("topic write #\n")
    broker = Broker(folder, f"acl_file {access}")
    broker.start()
    now_s = [0.0]
    try:
        publisher = MqttPublisher(BrokerSettings(port=broker.port, node="kitchen"), clock=lambda: now_s[0])
        publisher.start()
        wait_until(lambda: publisher.reason() == "", lambda: publisher.reason())
        now_s[0] += 11.0
        assert "does not pass on to us what is said on emomusic/kitchen/claim" in publisher.reason()
        publisher.publish(replace(SNAPSHOT, seq=9))
        publisher.close()
    finally:
        broker.stop()


@pytest.mark.broker
def test_a_broker_of_small_packets_is_told_and_not_sent_more(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("small")
    broker = Broker(folder, "max_packet_size 400")
    broker.start()
    try:
        publisher = MqttPublisher(BrokerSettings(port=broker.port, node="kitchen"))
        publisher.start()
        wait_until(lambda: publisher.reason() == "", lambda: publisher.reason())

        def told() -> bool:
            publisher.publish(SNAPSHOT)
            return "takes packets of at most 400 bytes, and emomusic/kitchen/" in publisher.reason()

        wait_until(told, lambda: publisher.reason())
        wait_until(lambda: publisher._connection.ready, "the line, which still stands")
        publisher.close()
    finally:
        broker.stop()


@pytest.mark.broker
def test_an_answer_too_large_for_the_broker_does_not_cost_the_line(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What comes back with an answer counts too; a packet that the broker does not take ends the connection."""
    broker = Broker(tmp_path_factory.mktemp("small"), "max_packet_size 600")
    broker.start()
    try:
        with publishing(broker) as publisher, Asker(broker) as asker:
            asker.ask("volume", "7", "", b"x" * 450)
            wait_until(lambda: "takes packets of at most 600 bytes" in publisher.reason(), lambda: publisher.reason())
            asker.ask("skip", "", "", b"question-2")
            assert asker.wait(f"{NODE}/cmd/skip/result").properties.CorrelationData == b"question-2"
            assert "offline" not in {message.payload.decode() for message in asker.heard}
    finally:
        broker.stop()


@pytest.mark.broker
def test_a_broker_that_takes_no_state_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("acl")
    access = folder / "acl"
    access.write_text("topic read #\ntopic write emomusic/kitchen/availability\ntopic write emomusic/kitchen/claim\n")
    broker = Broker(folder, f"acl_file {access}")
    broker.start()
    try:
        publisher = MqttPublisher(BrokerSettings(port=broker.port, node="kitchen"))
        publisher.publish(SNAPSHOT)
        publisher.start()
        wait_until(lambda: "takes nothing from us on emomusic/kitchen/" in publisher.reason(), "the refusal")
        publisher.close()
    finally:
        broker.stop()
