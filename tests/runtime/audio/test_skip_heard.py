"""A skip from the command to the ear: the real loop, choice, player and mixer on a device with a clock of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from offline_sink import OfflineSink
from sample_index import sample_index
from sounds import sine, write

from emomusic_edge.contracts import Mode, Skip
from emomusic_edge.deam_index.alignment import Alignment
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.runtime.audio.mix import HEADROOM
from emomusic_edge.runtime.audio.mixer import StreamMixer
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.fusion import FusionRule
from emomusic_edge.runtime.loop import Loop
from emomusic_edge.runtime.loop_parts import Parts
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.mqtt.null_publisher import NullPublisher
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.stabilizer import Stabilizer, StabilizerRule
from emomusic_edge.runtime.targets import Targets
from emomusic_edge.runtime.timing import RealTime

LONGEST_S = 0.3
AMPLITUDE = 0.8
WINDOW = SAMPLE_RATE_HZ // 100
NAMES = ("a.wav", "b.flac", "c.ogg", "d.mp3", "e.ogg", "f.mp3")
PITCHES_HZ = {name: 400.0 + 300.0 * i for i, name in enumerate(NAMES)}


class PlayingSink(OfflineSink):
    """Plays as a device does, 12 ms at a time; a busy machine slows it as it slows all else."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[NDArray[np.int16]] = []
        self._unplugged = threading.Event()
        self._thread = threading.Thread(target=self._play)

    def open(self) -> None:
        super().open()
        self._thread.start()

    def unplug(self) -> None:
        self._unplugged.set()
        self._thread.join()

    @property
    def frames(self) -> int:
        """Its clock."""
        return 512 * len(self.heard)

    def wait_heard(self, frames: int) -> None:
        deadline_s = time.monotonic() + 60
        while self.frames < frames:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)

    def _play(self) -> None:
        while not self._unplugged.is_set():
            self.heard.append(self.take(512))
            time.sleep(512 / SAMPLE_RATE_HZ)


@pytest.fixture
def sink() -> Iterator[PlayingSink]:
    made = PlayingSink()
    yield made
    made.unplug()


def _music(folder: Path, player: MusicPlayer) -> Music:
    """A song of each pitch, all near one place of the plane."""
    count = len(NAMES)
    for name, pitch_hz in PITCHES_HZ.items():
        write(folder / name, sine(pitch_hz, 60.0, AMPLITUDE))
    index = sample_index(
        points=np.linspace(0.0, 0.05, 2 * count).reshape(count, 2).astype(np.float32),
        start_s=np.full(count, 15.0, np.float32),
        end_s=np.full(count, 25.0, np.float32),
        song=np.arange(count, dtype=np.int32),
        song_ids=NAMES,
        titles=("",) * count,
        files=NAMES,
        song_end_s=np.full(count, 60.0, np.float32),
    )
    matcher = Matcher(index, AudioRoots(folder), np.ones(count, np.bool_), ChoiceRule())
    music = Music(Targets(Alignment(index), nearest_music=matcher.nearest_music), matcher, player)
    music.set_mode(Mode.MANUAL)
    music.set_mood(valence=1.0, arousal=3.0)
    return music


def _loop(music: Music) -> Loop:
    """Without the side that sees: a command needs none of it."""
    unseen = cast(Any, None)
    parts = Parts(
        feed=unseen,
        timebase=RealTime(),
        detector=unseen,
        primary=unseen,
        face_model=unseen,
        face_margin=0.0,
        scene_model=unseen,
        fusion=FusionRule(),
        stabilizer=Stabilizer(StabilizerRule()),
        music=music,
        publisher=NullPublisher(),
    )
    return Loop(parts, frames_per_second=10.0)


def _frames_until(heard: NDArray[np.int16], pitch_hz: float) -> int:
    """To the end of the first 10 ms in which a pitch has half its song's amplitude."""
    sound = heard[: len(heard) // WINDOW * WINDOW, 0].reshape(-1, WINDOW) / (32767 * HEADROOM * AMPLITUDE)
    wave = np.exp(-2j * np.pi * pitch_hz * np.arange(WINDOW) / SAMPLE_RATE_HZ)
    strong = 2 * np.abs(sound @ wave) / WINDOW >= 0.5
    assert strong.any(), f"{pitch_hz} Hz is not heard"
    return (int(strong.argmax()) + 1) * WINDOW


@pytest.mark.slow
def test_a_skip_is_heard_within_300_ms_of_the_command(sink: PlayingSink, tmp_path: Path) -> None:
    """By the device's clock, of samples."""
    player = MusicPlayer(StreamMixer(sink))
    music = _music(tmp_path, player)
    player.start()
    loop = _loop(music)
    music.step(None, time.monotonic())
    sink.wait_heard(2 * SAMPLE_RATE_HZ)
    asked = []
    for _ in range(2 * len(NAMES)):
        since = sink.frames
        loop.obey(Skip())
        playing = player.status(time.monotonic()).segment
        assert playing is not None
        asked.append((since, playing.song_id))
        sink.wait_heard(since + SAMPLE_RATE_HZ)
    player.close()
    assert player.failures() == []
    heard = np.concatenate(sink.heard)
    names = [name for _, name in asked]
    assert all(a != b for a, b in pairwise(names))
    waits_s = [_frames_until(heard[since:], PITCHES_HZ[name]) / SAMPLE_RATE_HZ for since, name in asked]
    print("skip to half amplitude, s:", [round(wait_s, 3) for wait_s in waits_s])  # noqa: T201
    # Each song is skipped to again: one of twelve may fall into a moment in which the machine did something else.
    assert sorted(waits_s)[-2] < LONGEST_S
