"""A process of simulated devices: the real publisher with its commands, and states made up instead of seen.

Each device takes its turn every interval: it collects its commands and publishes a state that differs from the last.
The state's `latency_ms` holds the time of that call, so that whoever hears it knows how long it was under way.

Its input: `hold` stops the turns and `go` goes on with them; either is answered with what was done so far. The end of
the input ends it.
"""

from __future__ import annotations

import argparse
import heapq
import os
import threading
import time
from pathlib import Path

from benchmarks.fleet_process import asked, rss_mb, tell
from emomusic_edge import __version__
from emomusic_edge.affect import mood_label
from emomusic_edge.contracts import (
    FaceBox,
    FusedAffect,
    Mode,
    Pace,
    PlaybackStatus,
    Segment,
    StableAffect,
    StateSnapshot,
    ValenceArousal,
)
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.messages import DeviceFacts, ModelFact
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher

CLOCK_MS = 1_000_000.0
"""The time in `latency_ms` starts again at 0 after this."""
_STEPS_PER_SONG = 60
_CONNECT_WITHIN_S = 120.0
_HOLD_AT_MOST_S = 3600.0
_FACTS = DeviceFacts(
    version=__version__,
    camera="simulated",
    models={
        "scene": ModelFact("scene-starter", "CPUExecutionProvider"),
        "face": ModelFact("face-starter", "CPUExecutionProvider"),
        "detector": ModelFact("blazeface", "CPUExecutionProvider"),
    },
)
_VARIANCE = ValenceArousal(0.09, 0.16)
_WEIGHTS = {"face": ValenceArousal(0.8, 0.8), "scene": ValenceArousal(0.2, 0.2)}


def name_of(number: int) -> str:
    """The name of the device of this number."""
    return f"room-{number:04d}"


def snapshot(number: int, seq: int, now_s: float) -> StateSnapshot:
    """What a device would tell: a feeling that wanders, a song that changes every sixty steps.

    Args:
        number: the device's.
        seq: how many it told before.
        now_s: monotonic seconds.
    """
    wander = (seq * 7 + number) % 100 / 50 - 1  # -1 … 0.98, by 0.14 a step
    mean = ValenceArousal(2 * wander, 3 + 2 * wander)
    song_number = seq // _STEPS_PER_SONG % 8 + 1
    song = Segment(
        f"starter-{song_number:02d}", 0.0, 15.0, 0.3, -0.2, Path("song.ogg"), 45.0, title=f"Piece {song_number}"
    )
    return StateSnapshot(
        seq=seq,
        t_s=now_s,
        mode=Mode.MIRROR,
        face=FaceBox(10, 20, 80, 80, 0.93),
        face_count=1,
        fused=FusedAffect(mean, _VARIANCE, _WEIGHTS),
        stable=StableAffect(mean, _VARIANCE, (False, False), 0.1),
        mood=mood_label(mean),
        target=ValenceArousal(0.25, 0.14),
        chosen=song,
        playback=PlaybackStatus(segment=song, position_s=seq % _STEPS_PER_SONG / 2, volume=0.6),
        frames_per_second=10.0,
        latency_ms=1000.0 * now_s % CLOCK_MS,
        pace=Pace(10.0, 0.1, temperature_c=48.0),
    )


def main() -> None:
    """Connect all, then take turns until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("first", type=int, help="number of the first device")
    parser.add_argument("count", type=int, help="how many")
    parser.add_argument("interval_s", type=float, help="from one turn of a device to its next")
    arguments = parser.parse_args()
    empty_mb = rss_mb(os.getpid())
    numbers = range(arguments.first, arguments.first + arguments.count)
    publishers = [
        MqttPublisher(BrokerSettings(port=arguments.port, node=name_of(number)), _FACTS) for number in numbers
    ]
    for publisher in publishers:
        publisher.start()
    end_s = time.monotonic() + _CONNECT_WITHIN_S
    while any(publisher.reason() for publisher in publishers):
        if time.monotonic() > end_s:
            raise SystemExit(f"not all devices connect: {max(publisher.reason() for publisher in publishers)}")
        time.sleep(0.05)
    tell(connected=len(publishers))
    _take_turns(publishers, arguments.first, arguments.interval_s, empty_mb)
    for publisher in publishers:
        publisher.close()


def _take_turns(publishers: list[MqttPublisher], first: int, interval_s: float, empty_mb: float) -> None:
    # Turns are spread evenly over the interval, as those of devices that know nothing of each other would be.
    began_s = time.monotonic()
    turns = [(began_s + place * interval_s / len(publishers), place, 0) for place in range(len(publishers))]
    steps = commands = 0
    latest_s = 0.0
    held_s: float | None = None
    while True:
        due_s, place, seq = turns[0]
        word = asked(due_s - time.monotonic() if held_s is None else _HOLD_AT_MOST_S)
        if word == "":
            return
        if word is not None:
            now_s = time.monotonic()
            if word == "hold":
                held_s = now_s
            elif held_s is not None:
                turns = [(due_s + now_s - held_s, place, seq) for due_s, place, seq in turns]
                held_s = None
            tell(
                steps=steps,
                commands=commands,
                behind_ms=1000.0 * latest_s,
                empty_mb=empty_mb,
                threads=threading.active_count(),
                troubled=sum(bool(publisher.reason()) for publisher in publishers),
            )
            latest_s = 0.0
            continue
        now_s = time.monotonic()
        latest_s = max(latest_s, now_s - due_s)
        commands += len(publishers[place].commands())
        publishers[place].publish(snapshot(first + place, seq, now_s))
        steps += 1
        # From now on, not from when it was due: a device that is late does not catch up.
        heapq.heapreplace(turns, (now_s + interval_s, place, seq + 1))


if __name__ == "__main__":
    main()
