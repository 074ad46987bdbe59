"""One node of group_start.py: real music, mixer, publisher and group; a device that keeps what it takes; no camera."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import Mode, StableAffect, StateSnapshot, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.runtime.audio.mixer import StreamMixer
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.groups.group import Group
from emomusic_edge.runtime.groups.messages import GroupSettings
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.targets import Targets

rate_hz = SAMPLE_RATE_HZ
START_S = 1.0
SONG_S = 9.0
_BUFFER = 512
_STEP_S = 0.1


class KeepingSink:
    """A SoundSink that takes 512 frames at a time, on time by the machine's clock, and keeps them."""

    def __init__(self) -> None:
        self.opened_s = 0.0
        self._lock = threading.Lock()
        self._queue = np.zeros((0, 2), np.int16)
        self._kept: list[NDArray[np.int16]] = []
        self._taken = 0
        self._open = False

    def heard(self) -> NDArray[np.int16]:
        """All it took, one channel; zeros where nothing was queued."""
        with self._lock:
            self._take()
            return np.concatenate(self._kept)[:, 0]

    def open(self) -> None:
        """See SoundSink.open."""
        with self._lock:
            self.opened_s, self._taken, self._open = time.monotonic(), 0, True
            self._queue = np.zeros((0, 2), np.int16)

    def write(self, samples: NDArray[np.int16]) -> None:
        """See SoundSink.write."""
        with self._lock:
            self._take()
            self._queue = np.concatenate([self._queue, samples])

    def queued(self) -> int:
        """See SoundSink.queued."""
        with self._lock:
            self._take()
            return len(self._queue)

    def replace_last(self, samples: NDArray[np.int16]) -> bool:
        """See SoundSink.replace_last."""
        with self._lock:
            self._take()
            if len(samples) > len(self._queue):
                return False
            self._queue = np.concatenate([self._queue[: len(self._queue) - len(samples)], samples])
            return True

    def wait_for_room(self, frames: int, timeout_s: float) -> None:
        """See SoundSink.wait_for_room."""
        too_many = self.queued() - frames
        if too_many > 0:
            time.sleep(min(too_many / rate_hz, timeout_s))

    def alive(self) -> bool:
        """See SoundSink.alive."""
        return self._open

    def close(self) -> None:
        """See SoundSink.close."""
        self._open = False

    def _take(self) -> None:
        due = int((time.monotonic() - self.opened_s) * rate_hz) // _BUFFER * _BUFFER - self._taken
        if due <= 0:
            return
        block = self._queue[:due]
        self._queue = self._queue[due:]
        self._kept.append(np.concatenate([block, np.zeros((due - len(block), 2), np.int16)]))
        self._taken += due


def _index(songs: int) -> MusicIndex:
    points = np.random.default_rng(5).uniform(-0.3, 0.3, (songs, 2)).astype(np.float32)
    return MusicIndex(
        name="noise",
        points=points,
        start_s=np.full(songs, START_S, np.float32),
        end_s=np.full(songs, SONG_S, np.float32),
        song=np.arange(songs, dtype=np.int32),
        song_ids=tuple(f"s{number}" for number in range(songs)),
        titles=("",) * songs,
        files=tuple(f"s{number}.ogg" for number in range(songs)),
        song_end_s=np.full(songs, SONG_S, np.float32),
        reference_mean=ValenceArousal(0.0, 0.0),
        reference_sd=ValenceArousal(0.3, 0.3),
        reference_quantiles=np.array([[-0.3, -0.3], [0.3, 0.3]], np.float32),
        provenance={"source": "made up"},
    )


def run_node(number: str, port: str, folder: str, skew_s: str) -> None:
    """Play until told to stop on stdin; each start, and each change of roles, is told on stdout."""

    def clock() -> float:
        return time.monotonic() + float(skew_s)

    sink = KeepingSink()
    player = MusicPlayer(StreamMixer(sink, clock=clock))
    group = Group(GroupSettings("measured"), f"node-{number}", clock=clock)
    songs = len(list(Path(folder).glob("s*.ogg")))
    index = _index(songs)
    # Longer than any song: only its end and a skip change it.
    rule = ChoiceRule(dwell_s=60.0, spacing=2)
    matcher = Matcher(index, AudioRoots(Path(folder)), np.ones(songs, np.bool_), rule, seed=int(number))
    music = Music(Targets(Alignment(index)), matcher, player, None, group)
    publisher = MqttPublisher(BrokerSettings(port=int(port), node=f"node-{number}"), extensions=[group], clock=clock)
    asked: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: [asked.put(line.strip()) for line in sys.stdin], daemon=True).start()
    player.start()
    publisher.start()
    felt = StableAffect(ValenceArousal(0.4, 2.9), ValenceArousal(0.1, 0.1), (False, False), 0.0)
    playing, role, due_s = None, None, time.monotonic()
    while (word := "" if asked.empty() else asked.get()) != "stop":
        if word == "skip":
            music.skip()
        now_s = clock()
        state = music.step(felt, now_s)
        publisher.publish(StateSnapshot(0, now_s, Mode.MIRROR, playback=state.playback))
        if state.chosen is not None and state.chosen != playing:
            playing = state.chosen
            _tell({"song_id": playing.song_id, "chosen_s": time.monotonic()})
        if (now := (group.leads, state.because == "group")) != role:
            role = now
            _tell({"leads": role[0], "in_step": role[1]})
        due_s += _STEP_S
        time.sleep(max(0.0, due_s - time.monotonic()))
    np.save(Path(folder) / f"heard-{number}.npy", sink.heard())
    _tell({"opened_s": sink.opened_s})
    publisher.close()
    player.close()


def _tell(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)
