"""The publisher against a real mosquitto: what is told, kept, heard and refused, and what a lost broker changes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from broker import Broker, Listener, free_port, program, wait_until
from sample_snapshot import SNAPSHOT

from emomusic_edge.contracts import (
    Mode,
    Pause,
    PlaybackStatus,
    Publisher,
    SetCamera,
    SetMode,
    SetMood,
    SetVolume,
    Skip,
    StateSnapshot,
    ValenceArousal,
)
from emomusic_edge.errors import BrokerError
from emomusic_edge.runtime.mqtt import publisher as publisher_module
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.commands import MAX_PAYLOAD_BYTES
from emomusic_edge.runtime.mqtt.inbox import MAX_WAITING_COMMANDS, CommandRate
from emomusic_edge.runtime.mqtt.line import Line, Outgoing, Received, Subscription
from emomusic_edge.runtime.mqtt.messages import HealthMessage, MusicMessage, ResultMessage, StateMessage
from emomusic_edge.runtime.mqtt.null_publisher import NullPublisher
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher

pytestmark = pytest.mark.broker

NODE = "emomusic/kitchen"


class Clock:
    """Monotonic seconds that move only when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def settings(port: int, **others: object) -> BrokerSettings:
    return BrokerSettings(port=port, node="kitchen", **others)  # type: ignore[arg-type]


# What most tests here send is no flood, however fast.
ANY_RATE = CommandRate(per_s=1e6, burst=1_000_000)


@contextmanager
def publishing(
    settings: BrokerSettings, clock: Callable[[], float] = time.monotonic, **others: Any
) -> Iterator[MqttPublisher]:
    publisher = MqttPublisher(settings, clock=clock, **{"rate": ANY_RATE, **others})
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.close()


def connected(publisher: MqttPublisher) -> None:
    wait_until(lambda: publisher.reason() == "", lambda: f"the connection; it says: {publisher.reason()}")


def step(publisher: MqttPublisher, listener: Listener, snapshot: StateSnapshot) -> None:
    """Publish once, and return when all that was sent for it has come.

    The answer to a command leaves on the same line after it.
    """
    wait_until(lambda: publisher._connection.ready, "a free line")
    publisher.publish(snapshot)
    answers = len(listener.all(f"{NODE}/cmd/resume/result"))
    listener.send(f"{NODE}/cmd/resume")
    listener.wait(f"{NODE}/cmd/resume/result", count=answers + 1)
    publisher.commands()


# The contract of every Publisher.


@pytest.fixture(params=["mqtt", "mqtt, no broker", "null"])
def any_publisher(request: pytest.FixtureRequest, broker: Broker) -> Publisher:
    if request.param == "null":
        return NullPublisher()
    return MqttPublisher(settings(broker.port if request.param == "mqtt" else free_port()))


def test_contract(any_publisher: Publisher) -> None:
    any_publisher.start()
    for seq in range(3):
        any_publisher.publish(replace(SNAPSHOT, seq=seq))
        assert list(any_publisher.commands()) == []
        assert list(any_publisher.rejected()) == []
    assert isinstance(any_publisher.reason(), str)
    any_publisher.close()
    any_publisher.close()


def test_close_without_start_is_harmless(broker: Broker) -> None:
    MqttPublisher(settings(broker.port)).close()


# What is told.


def test_state_music_and_health_arrive_as_documented(broker: Broker, listener: Listener) -> None:
    with publishing(settings(broker.port)) as publisher:
        publisher.publish(replace(SNAPSHOT, reasons={"audio": "no device"}))
        state = StateMessage.model_validate_json(listener.wait(f"{NODE}/state").payload)
        music = MusicMessage.model_validate_json(listener.wait(f"{NODE}/music").payload)
        health = HealthMessage.model_validate_json(listener.wait(f"{NODE}/health").payload)
    assert state.mood == "pleasure"
    assert state.valence is not None
    assert state.valence.value == 1.5
    assert music.song is not None
    assert music.song.song_id == "starter-07"
    assert health.reasons == {"audio": "no device"}


def test_first_words_come_in_order(broker: Broker, listener: Listener) -> None:
    with publishing(settings(broker.port)) as publisher:
        publisher.publish(SNAPSHOT)
        listener.wait(f"{NODE}/music")
    topics = [topic.removeprefix(f"{NODE}/") for topic in listener.topics()]
    # The claim comes before the state where the line was up before there was one.
    assert [topic for topic in topics if topic != "claim"][:4] == ["availability", "health", "state", "music"]


def test_only_availability_is_kept_by_the_broker(broker: Broker, listener: Listener) -> None:
    with publishing(settings(broker.port)) as publisher:
        connected(publisher)
        publisher.publish(SNAPSHOT)
        listener.send(f"{NODE}/cmd/skip")
        listener.wait(f"{NODE}/cmd/skip/result")
        listener.wait(f"{NODE}/music")
        with Listener(broker) as late:
            late.barrier()
            assert [(m.topic, m.payload) for m in late.all() if m.retained] == [(f"{NODE}/availability", b"online")]
    listener.barrier()
    with Listener(broker) as later:
        later.barrier()
        assert [(m.topic, m.payload) for m in later.all() if m.retained] == [(f"{NODE}/availability", b"offline")]


def test_state_is_told_at_most_every_interval_and_then_the_newest(broker: Broker, listener: Listener) -> None:
    clock = Clock()
    with publishing(settings(broker.port), clock) as publisher:
        connected(publisher)
        for count in range(5):
            step(publisher, listener, replace(SNAPSHOT, seq=count, face_count=count))
            clock.now_s += 0.125
        assert len(listener.all(f"{NODE}/state")) == 2  # at 0 and 0.5 s
        assert listener.all(f"{NODE}/state")[-1].json["face"]["count"] == 4


def test_what_drifts_is_told_only_with_the_repeat(broker: Broker, listener: Listener) -> None:
    clock = Clock()
    with publishing(settings(broker.port), clock) as publisher:
        connected(publisher)
        for seq in range(20):  # 0 to 19 s: repeats at 0 and 10 s
            drifting = replace(
                SNAPSHOT,
                seq=seq,
                latency_ms=40.0 + seq,
                frames_per_second=9.0 + seq / 10,
                # of a scene that is looked at once in a while
                stable=replace(SNAPSHOT.stable, variance=ValenceArousal(0.2 + 0.3 * (seq % 2), 0.2)),
                playback=replace(SNAPSHOT.playback, position_s=float(seq)),
            )
            step(publisher, listener, drifting)
            clock.now_s += 1.0
        for topic in ("state", "music", "health"):
            assert len(listener.all(f"{NODE}/{topic}")) == 2, topic
        assert listener.all(f"{NODE}/music")[-1].json["song"]["position_s"] == 10.0


def test_what_could_not_be_told_yet_is_not_made(
    broker: Broker, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At ten frames a second: health every half second, though it is told every ten; a state that moves likewise."""
    made: Counter[str] = Counter()

    def counted(name: str) -> None:
        real = getattr(publisher_module, name)
        monkeypatch.setattr(publisher_module, name, lambda *given: made.update([name]) or real(*given))

    for name in ("health_message", "state_message"):
        counted(name)
    clock = Clock()
    with publishing(settings(broker.port), clock) as publisher:
        connected(publisher)
        for seq in range(100):
            step(publisher, listener, replace(SNAPSHOT, seq=seq, face_count=seq))
            clock.now_s += 0.1
    # once more when the line is up
    assert 1 <= made["health_message"] <= 22
    assert 1 <= made["state_message"] <= 22


@pytest.mark.parametrize(
    ("topics", "changed"),
    [
        ("state", replace(SNAPSHOT, mood="neutral")),
        ("state", replace(SNAPSHOT, mode=Mode.CALM)),
        ("state", replace(SNAPSHOT, manual_mood=ValenceArousal(1.0, 2.0))),
        ("state health", replace(SNAPSHOT, camera_on=False)),
        ("state", replace(SNAPSHOT, face=None, face_count=0)),
        ("state", replace(SNAPSHOT, fused=None)),
        ("state", replace(SNAPSHOT, stable=None)),
        ("state", replace(SNAPSHOT, stable=replace(SNAPSHOT.stable, held=(True, True)))),
        ("state", replace(SNAPSHOT, stable=replace(SNAPSHOT.stable, stale=True))),
        ("state", replace(SNAPSHOT, stable=replace(SNAPSHOT.stable, mean=ValenceArousal(1.55, 3.0)))),
        ("music", replace(SNAPSHOT, playback=PlaybackStatus())),
        ("music", replace(SNAPSHOT, playback=replace(SNAPSHOT.playback, paused=True))),
        ("music", replace(SNAPSHOT, playback=replace(SNAPSHOT.playback, muted=True))),
        ("music", replace(SNAPSHOT, playback=replace(SNAPSHOT.playback, volume=0.1))),
        ("health", replace(SNAPSHOT, reasons={"camera": "gone"})),
    ],
)
def test_a_change_that_matters_is_told_alone(
    broker: Broker, listener: Listener, topics: str, changed: StateSnapshot
) -> None:
    clock = Clock()
    with publishing(settings(broker.port), clock) as publisher:
        connected(publisher)
        step(publisher, listener, SNAPSHOT)
        clock.now_s += 1.0
        step(publisher, listener, changed)
        told = {name: len(listener.all(f"{NODE}/{name}")) for name in ("health", "state", "music")}
    assert told == {**{"health": 1, "state": 1, "music": 1}, **dict.fromkeys(topics.split(), 2)}


def test_a_snapshot_that_breaks_the_schema_is_not_told_and_stops_nothing(broker: Broker, listener: Listener) -> None:
    with publishing(settings(broker.port)) as publisher:
        connected(publisher)
        step(publisher, listener, replace(SNAPSHOT, latency_ms=float("nan")))
        assert listener.all(f"{NODE}/state") == []
        step(publisher, listener, SNAPSHOT)
        assert len(listener.all(f"{NODE}/state")) == 1


# Availability.

CLIENT = """
import sys, time
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher
publisher = MqttPublisher(BrokerSettings(port=int(sys.argv[1]), node="kitchen"))
publisher.start()
while True:
    time.sleep(60)
"""


def test_a_killed_device_is_told_offline_by_its_will(broker: Broker, listener: Listener) -> None:
    process = subprocess.Popen([sys.executable, "-c", CLIENT, str(broker.port)])
    try:
        listener.wait(f"{NODE}/availability", lambda heard: heard.payload == b"online")
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    will = listener.wait(f"{NODE}/availability", lambda heard: heard.payload == b"offline")
    assert will.retained


def test_a_clean_close_says_offline_itself(broker: Broker, listener: Listener) -> None:
    with publishing(settings(broker.port)) as publisher:
        listener.wait(f"{NODE}/availability", lambda heard: heard.payload == b"online")
    assert publisher.reason() == "closed"
    listener.wait(f"{NODE}/availability", lambda heard: heard.payload == b"offline")
    assert [heard.payload for heard in listener.all(f"{NODE}/availability")] == [b"online", b"offline"]


# A broker that is away.


def test_a_broker_that_appears_late_hears_the_newest_only(stopped_broker: Broker) -> None:
    with publishing(settings(stopped_broker.port)) as publisher:
        wait_until(lambda: "does not answer" in publisher.reason(), "the reason")
        assert f"127.0.0.1:{stopped_broker.port}" in publisher.reason()
        for count in range(50):
            publisher.publish(replace(SNAPSHOT, seq=count, face_count=count))
        stopped_broker.start()
        with Listener(stopped_broker) as listener:
            assert listener.wait(f"{NODE}/availability").payload == b"online"

            def told() -> bool:
                # It may have been told before this listener was there: a change tells it again.
                publisher.publish(replace(SNAPSHOT, face_count=49, mood="neutral"))
                return bool(listener.all(f"{NODE}/state"))

            wait_until(told, "the state")
            assert {heard.json["face"]["count"] for heard in listener.all(f"{NODE}/state")} == {49}


def test_a_restarted_broker_is_found_again(broker: Broker) -> None:
    with publishing(settings(broker.port)) as publisher:
        connected(publisher)
        publisher.publish(SNAPSHOT)
        broker.stop()
        wait_until(lambda: publisher.reason(), "the loss")
        broker.start()
        connected(publisher)
        with Listener(broker) as listener:
            listener.wait(f"{NODE}/availability", lambda heard: heard.payload == b"online")
            listener.send(f"{NODE}/cmd/skip")
            assert listener.wait(f"{NODE}/cmd/skip/result").json["ok"]
        assert list(publisher.commands()) == [Skip()]


def test_a_mended_line_brings_the_newest_in_order_and_the_commands_sent_meanwhile(
    broker: Broker, listener: Listener
) -> None:
    """The line breaks, not the broker, so that the listener hears the whole greeting."""
    with Relay(broker.port) as relay, publishing(settings(relay.port)) as publisher:
        connected(publisher)
        step(publisher, listener, SNAPSHOT)
        listener.wait(f"{NODE}/music")
        relay.cut()
        wait_until(lambda: publisher.reason(), "the loss")
        for count in range(50):
            publisher.publish(replace(SNAPSHOT, seq=count, face_count=count))
        listener.send(f"{NODE}/cmd/skip")
        listener.barrier()
        before = len(listener.all())
        relay.mend()

        def greeted() -> bool:
            topics = [heard.topic for heard in listener.all()[before:]]
            online = f"{NODE}/availability"
            return online in topics and f"{NODE}/music" in topics[topics.index(online) :]

        wait_until(greeted, "the greeting")
        wait_until(lambda: list(publisher.commands()) == [Skip()], "the command sent meanwhile")
        told = [heard for heard in listener.all()[before:] if "/cmd/" not in heard.topic]
    # What had gone out and whose receipt was cut off comes once more, before the greeting.
    while told and told[0].topic != f"{NODE}/availability":
        assert told.pop(0).json.get("face", {}).get("count", 0) <= SNAPSHOT.face_count
    assert [heard.topic.removeprefix(f"{NODE}/") for heard in told[:4]] == ["availability", "health", "state", "music"]
    assert told[2].json["face"]["count"] == 49
    # back before the will was due: nobody was told that the device had gone
    assert b"offline" not in [heard.payload for heard in told[:4]]


class Relay:
    """A TCP line to the broker that can be cut and mended."""

    def __init__(self, to_port: int) -> None:
        self._to = to_port
        self.port = free_port()
        self._open: list[socket.socket] = []
        self._server: socket.socket | None = None

    def __enter__(self) -> Relay:
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def mend(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def cut(self) -> None:
        for line in [self._server, *self._open]:
            if line is not None:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
                line.close()
        self._open.clear()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            self._open += [near, far]
            for here, there in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(here, there), daemon=True).start()

    @staticmethod
    def _pass_on(here: socket.socket, there: socket.socket) -> None:
        try:
            while chunk := here.recv(65536):
                there.sendall(chunk)
        except OSError:
            return


class Clumsy:
    """An extension that fails on what it hears."""

    reason = ""

    def subscriptions(self) -> list[Subscription]:
        return [Subscription("kitchen/bell", self._heard)]

    def _heard(self, message: Received) -> None:
        raise KeyError(message.payload)

    def before_online(self, line: Line) -> None:
        pass

    def step(self, snapshot: StateSnapshot, now_s: float, line: Line) -> bool:
        return False

    def leaving(self, line: Line) -> None:
        pass


def test_a_part_that_fails_on_a_message_is_told_in_health_and_the_line_lives_on(
    broker: Broker, listener: Listener
) -> None:
    with publishing(settings(broker.port), extensions=[Clumsy()]) as publisher:
        connected(publisher)
        listener.send("kitchen/bell", "what somebody felt")
        wait_until(publisher.reason, "the reason")
        assert publisher.reason().startswith("a message on 'kitchen/bell' could not be taken (KeyError)")
        assert "felt" not in publisher.reason()
        step(publisher, listener, SNAPSHOT)
        health = listener.wait(f"{NODE}/health").json
        assert (health["status"], health["reasons"]) == ("degraded", {"broker": publisher.reason()})
        assert 0.0 <= health["uptime_s"] < 600.0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_network_thread_is_told_and_started_again(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> socket.socket:
        raise UnicodeError("no OSError, as paho expects them")

    clock = Clock()
    with monkeypatch.context() as patch:
        patch.setattr(socket, "create_connection", broken)
        publisher = MqttPublisher(settings(broker.port), clock=clock)
        publisher.start()
        wait_until(lambda: "has ended" in publisher.reason(), "the thread's end")
    try:
        publisher.publish(SNAPSHOT)
        connected(publisher)
    finally:
        publisher.close()


# Who is let in.


SUBSCRIPTION_REFUSED = (0x87, b"")
SESSION_TAKEN_OVER = (0x01, bytes([0xE0, 1, 0x8E]))


@pytest.mark.parametrize(
    ("answer", "says"),
    [(SUBSCRIPTION_REFUSED, f"lets us read no {NODE}/cmd/+"), (SESSION_TAKEN_OVER, "under our name")],
)
def test_what_mosquitto_never_says_is_told_too(answer: tuple[int, bytes], says: str) -> None:
    """Its access lists let every subscription pass, and 2.0 drops a client whose name is taken without a word.

    Brokers that keep to the standard say so; here stand the few packets of one of those.
    """
    granted, farewell = answer
    with (
        socket.create_server(("127.0.0.1", 0)) as strict,
        publishing(settings(strict.getsockname()[1])) as publisher,
    ):
        line, _ = strict.accept()
        with line:
            assert line.recv(1024)[0] == 0x10  # CONNECT
            line.sendall(bytes([0x20, 3, 0, 0, 0]))  # CONNACK
            subscribe = line.recv(1024)
            assert subscribe[0] == 0x82
            line.sendall(bytes([0x90, 4, *subscribe[2:4], 0, granted]) + farewell)  # SUBACK, DISCONNECT
            wait_until(lambda: says in publisher.reason(), "the reason")


def test_a_unix_socket_will_do(broker: Broker, listener: Listener) -> None:
    with publishing(BrokerSettings(node="kitchen", unix_socket=broker.unix_socket)) as publisher:
        publisher.publish(SNAPSHOT)
        listener.wait(f"{NODE}/state")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"host": "broker.lan"}, "plaintext"),
        ({"host": "192.168.1.2"}, "plaintext"),
        ({"host": "0.0.0.0"}, "plaintext"),
        ({"host": "localhost.evil.example"}, "plaintext"),
        ({"host": ""}, "host"),
        ({"host": "broker..lan", "tls": True}, "host"),
        ({"host": "a" * 64, "tls": True}, "host"),
        ({"port": 0}, "port"),
        ({"node": "living room"}, "a-z"),
        ({"node": "a/b"}, "a-z"),
        ({"node": "#"}, "a-z"),
        ({"node": ""}, "a-z"),
        ({"keepalive_s": 0}, "keepalive_s"),
        ({"min_interval_s": 0}, "min_interval_s"),
        ({"repeat_s": 0.1}, "repeat_s"),
        ({"ca_file": Path("/nowhere/ca.pem")}, "ca_file"),
    ],
)
def test_settings_that_cannot_work_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(BrokerError, match=says):
        BrokerSettings(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"host": "localhost"},
        {"host": "LocalHost"},
        {"host": "127.0.0.2"},
        {"host": "::1"},
        {"host": "broker.lan", "tls": True},
        {"host": "broker.lan", "allow_plaintext": True},
        {"host": "broker.lan", "unix_socket": Path("/run/mosquitto.sock")},
        {"host": "/run/" + "a" * 64, "unix_socket": Path("/run/" + "a" * 64)},
    ],
)
def test_settings_that_keep_feelings_in_are_taken(change: dict[str, object]) -> None:
    BrokerSettings(**change)  # type: ignore[arg-type]


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(BrokerSettings(username="edge", password="hunter2"))


# Commands.


def test_commands_are_heard_in_order_and_answered(broker: Broker, listener: Listener) -> None:
    with publishing(settings(broker.port)) as publisher:
        connected(publisher)
        for name, payload in [
            ("skip", ""),
            ("pause", "{}"),
            ("camera", "OFF"),
            ("mode", "calm"),
            ("volume", "0.4"),
            ("mood", '{"valence": 1.5, "arousal": 2}'),
        ]:
            listener.send(f"{NODE}/cmd/{name}", payload)
            result = ResultMessage.model_validate_json(listener.wait(f"{NODE}/cmd/{name}/result").payload)
            assert result.ok
            assert result.reason == ""
        assert list(publisher.commands()) == [
            Skip(),
            Pause(),
            SetCamera(False),
            SetMode(Mode.CALM),
            SetVolume(0.4),
            SetMood(1.5, 2.0),
        ]
        assert list(publisher.commands()) == []
        assert list(publisher.rejected()) == []


@pytest.mark.parametrize(
    ("name", "payload", "retain", "reason"),
    [
        ("volume", b"{", False, "not JSON"),
        ("volume", b"7", False, "from 0 to 1"),
        ("volum", b"0.1", False, "did you mean `volume`?"),
        ("mode", b"\xff", False, "not UTF-8"),
        ("skip", b"{}", True, "must not be retained"),
    ],
)
def test_a_bad_command_is_answered_told_and_survived(
    broker: Broker, listener: Listener, name: str, payload: bytes, retain: bool, reason: str
) -> None:
    with publishing(settings(broker.port)) as publisher:
        connected(publisher)
        listener.send(f"{NODE}/cmd/{name}", payload, retain=retain)
        result = ResultMessage.model_validate_json(listener.wait(f"{NODE}/cmd/{name}/result").payload)
        assert not result.ok
        assert reason in result.reason
        assert list(publisher.rejected()) == [result.reason]
        assert list(publisher.rejected()) == []
        assert list(publisher.commands()) == []
        listener.send(f"{NODE}/cmd/pause")
        assert listener.wait(f"{NODE}/cmd/pause/result").json["ok"]
        assert list(publisher.commands()) == [Pause()]


def test_a_command_that_the_broker_kept_is_not_obeyed(broker: Broker, listener: Listener) -> None:
    listener.send(f"{NODE}/cmd/mode", "energize", retain=True)
    listener.barrier()
    with publishing(settings(broker.port)) as publisher:
        connected(publisher)
        listener.send(f"{NODE}/cmd/skip")
        listener.wait(f"{NODE}/cmd/skip/result")
        assert list(publisher.commands()) == [Skip()]
        assert list(publisher.rejected()) == []


def test_a_payload_too_large_never_arrives_and_the_next_command_does(broker: Broker, listener: Listener) -> None:
    with publishing(settings(broker.port)) as publisher:
        connected(publisher)
        listener.send(f"{NODE}/cmd/volume", b"0" * 100_000)
        listener.send(f"{NODE}/cmd/volume", b"0" * (MAX_PAYLOAD_BYTES - 64))  # fits, and is JSON no more
        listener.send(f"{NODE}/cmd/volume", "0.5")
        listener.wait(f"{NODE}/cmd/volume/result", lambda heard: heard.json["ok"])
        assert [heard.json["ok"] for heard in listener.all(f"{NODE}/cmd/volume/result")] == [False, True]
        assert list(publisher.commands()) == [SetVolume(0.5)]


def test_a_flood_is_bounded_answered_and_survived(broker: Broker, listener: Listener) -> None:
    with publishing(settings(broker.port)) as publisher:
        connected(publisher)
        for count in range(500):
            listener.send(f"{NODE}/cmd/volume", f"{count / 1000}")
        listener.wait(f"{NODE}/cmd/volume/result", count=500)
        results = [heard.json for heard in listener.all(f"{NODE}/cmd/volume/result")]
        assert [result["ok"] for result in results] == [True] * MAX_WAITING_COMMANDS + [False] * (
            500 - MAX_WAITING_COMMANDS
        )
        assert "waiting already" in results[-1]["reason"]
        assert list(publisher.commands()) == [SetVolume(count / 1000) for count in range(MAX_WAITING_COMMANDS)]
        listener.send(f"{NODE}/cmd/skip")
        assert listener.wait(f"{NODE}/cmd/skip/result").json["ok"]
        assert list(publisher.commands()) == [Skip()]
        assert publisher.reason() == ""


def test_what_can_not_be_sent_takes_no_place_on_the_line(broker: Broker, listener: Listener) -> None:
    with publishing(settings(broker.port)) as publisher:
        connected(publisher)
        for _ in range(2_000):
            with pytest.raises(ValueError, match="topic"):
                publisher._connection.send(Outgoing("kitchen/#", "x"))
        listener.send(f"{NODE}/cmd/skip")
        assert listener.wait(f"{NODE}/cmd/skip/result").json["ok"]


def test_the_loop_is_never_held_up_by_a_frozen_broker(broker: Broker, listener: Listener) -> None:
    """publish() returns though the broker reads nothing, and what piles up is a handful of messages."""
    clock = Clock()
    with publishing(settings(broker.port), clock) as publisher:
        connected(publisher)
        assert broker._process is not None
        os.kill(broker._process.pid, signal.SIGSTOP)
        try:
            for count in range(5_000):
                clock.now_s += 1.0
                publisher.publish(replace(SNAPSHOT, seq=count, face_count=count))
            assert len(publisher._connection._client._out_packet) <= 4
        finally:
            os.kill(broker._process.pid, signal.SIGCONT)

        def told() -> bool:
            # The thawed broker may first drop a line that it finds silent for too long.
            clock.now_s += 1.0
            publisher.publish(replace(SNAPSHOT, face_count=7))
            return any(heard.json["face"]["count"] == 7 for heard in listener.all(f"{NODE}/state"))

        wait_until(told, "the newest state")


def test_a_missing_mosquitto_says_what_to_type() -> None:
    with pytest.raises(pytest.fail.Exception, match="apt-get install mosquitto"):
        program("mosquitto-that-is-not-there")
