"""Music that plays in real time from a folder that a test may spoil: what is heard of it, and where it is silent.

The real choice, player, mixer and decoder on the starter music; only the sound device is a stand-in, which takes sound
at the pace of a real one and notes when there was some.
"""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from pathlib import Path

import numpy as np
from offline_sink import OfflineSink

from emomusic_edge.contracts import StableAffect, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment
from emomusic_edge.deam_index.audio_files import AudioRoots, playable_files
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.audio.mixer import StreamMixer
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.music import Music, MusicState
from emomusic_edge.runtime.targets import Targets

WINDOW_S = 0.05
STEP_S = 0.1
# of 32,768: below what is left of a song at its quietest, above a fade's last step
_SILENT = 4


class Ear(threading.Thread):
    """Takes what is queued at a device's pace; what is not there is silence."""

    def __init__(self, sink: OfflineSink) -> None:
        super().__init__(name="ear", daemon=True)
        self.heard_s: list[float] = []
        self._sink = sink
        self._ends = threading.Event()

    def run(self) -> None:
        began_s, frames = time.monotonic(), round(WINDOW_S * SAMPLE_RATE_HZ)
        for window in itertools.count(1):
            if self._ends.wait(max(0.0, began_s + window * WINDOW_S - time.monotonic())):
                return
            here = min(frames, self._sink.queued())
            if here and int(np.abs(self._sink.take(here)).max()) > _SILENT:
                self.heard_s.append(time.monotonic())

    def stop(self) -> None:
        self._ends.set()
        self.join()

    def silence_s(self, from_s: float, to_s: float) -> float:
        """The longest time without sound between two moments; a window's length is none."""
        heard = [from_s, *(at for at in self.heard_s if from_s <= at <= to_s), to_s]
        return max(0.0, max(later - at for at, later in itertools.pairwise(heard)) - 2 * WINDOW_S)


class SongRig:
    """Music that plays.

    Attributes:
        folder: where its songs are.
        state: what it told last.
        away_s: for how long a fault may take the folder away.
    """

    def __init__(self, layout: DataLayout, folder: Path, songs: int, mood: ValenceArousal) -> None:
        self.folder = folder
        self._whole = sorted(layout.starter_music.glob("*.ogg"))[:: 32 // songs]
        self.index = read_index(layout.starter_index)
        folder.mkdir(exist_ok=True)
        self.mend()
        roots = AudioRoots(folder)
        self.there = playable_files(self.index, roots)
        matcher = Matcher(self.index, roots, self.there, ChoiceRule())
        self._targets = Targets(Alignment(self.index), nearest_music=matcher.nearest_music)
        sink = OfflineSink()
        self.ear, self.player = Ear(sink), MusicPlayer(StreamMixer(sink))
        self.music = Music(self._targets, matcher, self.player)
        self.state: MusicState | None = None
        self.away_s = 0.0
        self._stable = StableAffect(mood, ValenceArousal(0.1, 0.1), (False, False), 0.0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._step, name="steps")

    @property
    def files(self) -> list[Path]:
        """The songs of the folder."""
        return [self.folder / song.name for song in self._whole]

    def mend(self) -> None:
        """All songs are there and whole; none of the files is one that was open before."""
        for song in self._whole:
            mended = self.folder / f"{song.name}.new"
            shutil.copy(song, mended)
            mended.replace(self.folder / song.name)

    def start(self) -> None:
        self.player.start()
        self.ear.start()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.player.close()
        self.ear.stop()

    def playing(self) -> Path | None:
        """The song that sounds now, and did for half a second."""
        state = self.state
        if state is None or state.playback.segment is None or state.playback.muted:
            return None
        segment = state.playback.segment
        now_s = time.monotonic()
        if state.playback.position_s - segment.start_s < 0.5 or not self.ear.heard_s:
            return None
        return segment.path if now_s - self.ear.heard_s[-1] < 0.2 else None

    def _step(self) -> None:
        while not self._stop.wait(STEP_S):
            self.state = self.music.step(self._stable, time.monotonic())
