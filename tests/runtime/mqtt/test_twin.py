"""Two runs of one node's name find each other, over a real broker; the one that runs shorter gives way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from broker import Broker, Listener, wait_until
from hypothesis import given
from hypothesis import strategies as st
from sample_snapshot import SNAPSHOT

from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher
from emomusic_edge.runtime.mqtt.twin import Standing, standing

AVAILABILITY = "emomusic/kitchen/availability"

RUNS = st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
AGES_S = st.floats(min_value=0, max_value=1e6)


@given(run=RUNS, other=RUNS, age_s=AGES_S, other_age_s=AGES_S, on_the_way_s=st.floats(min_value=0, max_value=2))
def test_never_do_both_stop(run: str, other: str, age_s: float, other_age_s: float, on_the_way_s: float) -> None:
    """What each hears of the other is older by the time it took."""
    ours = standing(run, age_s + on_the_way_s, other, other_age_s)
    theirs = standing(other, other_age_s + on_the_way_s, run, age_s)
    assert [ours, theirs].count(Standing.STOP) <= 1
    if run != other and abs(age_s - other_age_s) > 5 + on_the_way_s:
        assert {ours, theirs} == {Standing.STOP, Standing.STAY}
        assert ours is (Standing.STAY if age_s > other_age_s else Standing.STOP)
    if run == other:
        assert ours is theirs is Standing.OURS


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def twins(broker: Broker) -> Iterator[tuple[MqttPublisher, MqttPublisher, list[str]]]:
    """An older run that is connected, a younger one that is not started, and who was told to stop."""
    told: list[str] = []
    settings = BrokerSettings(port=broker.port, node="kitchen")
    clock = Clock()
    older = MqttPublisher(settings, on_twin=lambda _: told.append("older"), clock=clock)
    older.start()
    wait_until(lambda: older.reason() == "", "the older one's connection")
    clock.now_s += 60.0
    younger = MqttPublisher(settings, on_twin=lambda _: told.append("younger"), clock=clock)
    yield older, younger, told
    younger.close()
    older.close()


def test_the_later_one_is_told_to_stop_and_says_why(
    twins: tuple[MqttPublisher, MqttPublisher, list[str]], listener: Listener
) -> None:
    older, younger, told = twins
    younger.start()

    clock = older._clock
    assert isinstance(clock, Clock)

    def found() -> bool:
        # Both go by it: neither gets older than the other.
        clock.now_s += 0.1
        older.publish(SNAPSHOT)
        younger.publish(SNAPSHOT)
        return bool(told)

    wait_until(found, "the younger one to be told")
    assert told == ["younger"]
    assert "uses the name 'kitchen' and has run for longer" in younger.reason()
    younger.close()
    assert older.reason() == ""
    # It leaves without a word: the node is still online.
    listener.send("emomusic/kitchen/cmd/skip")
    listener.wait("emomusic/kitchen/cmd/skip/result")
    listener.barrier()
    assert {heard.payload for heard in listener.all(AVAILABILITY)} == {b"online"}


def test_what_is_no_claim_stops_nobody(
    twins: tuple[MqttPublisher, MqttPublisher, list[str]], listener: Listener
) -> None:
    older, _, told = twins
    for payload in ("", "{", '{"run": "x", "uptime_s": 1e9}', '{"run": "ffffffff", "uptime_s": -1}', b"\xff"):
        listener.send("emomusic/kitchen/claim", payload)
    listener.send("emomusic/kitchen/cmd/skip")
    listener.wait("emomusic/kitchen/cmd/skip/result")
    assert told == []
    assert older.reason() == ""


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("retain", [True, False])
def test_a_forged_claim_stops_nobody(broker: Broker, listener: Listener, protocol: str, retain: bool) -> None:
    """Once said and not said again when asked back, or kept by the broker."""
    forged = '{"run": "deadbeef", "uptime_s": 1e12}'
    told: list[str] = []
    if retain:
        listener.send("emomusic/kitchen/claim", forged, retain=True)
        listener.barrier()
    settings = BrokerSettings(port=broker.port, node="kitchen", protocol=protocol)  # type: ignore[arg-type]
    publisher = MqttPublisher(settings, on_twin=told.append)
    publisher.start()
    try:
        wait_until(lambda: publisher.reason() == "", lambda: publisher.reason())
        if not retain:
            listener.send("emomusic/kitchen/claim", forged)

        def answered() -> bool:
            publisher.publish(SNAPSHOT)
            # ours on connecting, and ours in answer to the forged one
            ours = [heard for heard in listener.all("emomusic/kitchen/claim") if b"deadbeef" not in heard.payload]
            return len(ours) >= (1 if retain else 2)

        wait_until(answered, "our claims")
        listener.send("emomusic/kitchen/cmd/skip")
        listener.wait("emomusic/kitchen/cmd/skip/result")
        assert told == []
        assert publisher.reason() == ""
    finally:
        publisher.close()


@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_offline_told_by_another_is_set_right(
    twins: tuple[MqttPublisher, MqttPublisher, list[str]], listener: Listener, times: int
) -> None:
    """As by the late will of a run that was killed and started again; two may come together."""
    older, _, _ = twins
    for _ in range(times):
        listener.send(AVAILABILITY, "offline", retain=True)
    listener.wait(AVAILABILITY, lambda heard: heard.payload == b"offline", count=times)

    def online() -> bool:
        clock = older._clock
        assert isinstance(clock, Clock)
        clock.now_s += 0.1
        older.publish(SNAPSHOT)
        return listener.all(AVAILABILITY)[-1].payload == b"online"

    wait_until(online, "availability to be set right")
    listener.barrier()
    assert listener.all(AVAILABILITY)[-1].payload == b"online"
