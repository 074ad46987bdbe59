"""A process that hears every state, health and music message of a broker, and how long each state was under way.

Its input: `begin` starts the count anew, `report` tells it; the end of the input ends it.
"""

from __future__ import annotations

import argparse
import threading
import time

import numpy as np
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.fleet_nodes import CLOCK_MS
from benchmarks.fleet_process import answer_questions, tell

_MARK = b'"latency_ms":'
_TOPICS = ("state", "health", "music")
_DROPPED = "$SYS/broker/publish/messages/dropped"


class Ears:
    """Counts by topic, and the time under way of each state."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dropped = 0
        self.begin()

    def begin(self) -> None:
        """Forget what was heard."""
        with self._lock:
            self._counts = dict.fromkeys(_TOPICS, 0)
            self._dropped_before = self._dropped
            self._under_way_ms: list[float] = []

    def hear(self, topic: str, payload: bytes, now_s: float) -> None:
        """Count a message, or note how many the broker says that it dropped so far."""
        kind = topic.rpartition("/")[2]
        with self._lock:
            if topic == _DROPPED:
                self._dropped = int(payload)
                return
            self._counts[kind] += 1
            if kind == "state":
                told_ms = float(payload.partition(_MARK)[2].partition(b",")[0].rstrip(b"}"))
                self._under_way_ms.append((1000.0 * now_s - told_ms) % CLOCK_MS)

    def report(self) -> dict[str, object]:
        """What was heard since `begin`."""
        with self._lock:
            under_way = np.asarray(self._under_way_ms or [np.nan])
            p50, p99, longest = np.percentile(under_way, [50, 99, 100])
            return {
                "counts": dict(self._counts),
                "dropped": self._dropped - self._dropped_before,
                "state_ms": {"p50": float(p50), "p99": float(p99), "max": float(longest)},
            }


def main() -> None:
    """Subscribe, then answer until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    ears = Ears()
    subscribed = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)

    def heard(_client: Client, _userdata: object, message: MQTTMessage) -> None:
        ears.hear(message.topic, message.payload, time.monotonic())

    client.on_message = heard
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", parser.parse_args().port)
    client.subscribe([*((f"emomusic/+/{topic}", 0) for topic in _TOPICS), (_DROPPED, 0)])
    client.loop_start()
    if not subscribed.wait(10):
        raise SystemExit("the broker takes no subscription")
    tell(subscribed=True)

    def answer(word: str) -> dict[str, object]:
        if word == "begin":
            ears.begin()
            return {}
        return ears.report()

    answer_questions(answer)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
