"""Hours of listening in seconds: the real player and mixer, an offline device, a listener with a clock of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from offline_sink import OfflineSink
from sounds import write

from emomusic_edge.contracts import Segment
from emomusic_edge.runtime.audio.mixer import StreamMixer
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.audio.song_stream import AHEAD_S

TICK_S = 0.1
NOISE_RMS = 0.1
LEVEL_WINDOW = SAMPLE_RATE_HZ // 100
"""10 ms."""
_SONG_S = 30.0
_LEAST_S = 4.0


def steady_songs(folder: Path) -> list[Segment]:
    """Noise that holds its level, of several formats, rates and lengths: a step in what is heard is a joint's."""
    rng = np.random.default_rng(7)
    paths = []
    for name in ("a.wav", "b.wav", "c.flac", "d.ogg", "e.mp3"):
        paths.append(write(folder / name, NOISE_RMS * rng.standard_normal(int(_SONG_S * SAMPLE_RATE_HZ))))
    paths.append(folder / "f.wav")
    soundfile.write(paths[-1], NOISE_RMS * rng.standard_normal(int(_SONG_S * 48_000)), 48_000, subtype="FLOAT")
    return [Segment(p.name, 0.0, 10.0, 0.0, 0.0, p, 14.0 + 3.0 * i) for i, p in enumerate(paths)]


@dataclass
class Session:
    """Ticks of 0.1 s. `levels` holds what was heard: the RMS of each 10-ms window against the songs' own."""

    songs: list[Segment]
    levels: list[NDArray[np.float32]] = field(default_factory=list)
    silences_s: list[tuple[float, float]] = field(default_factory=list)
    joints: int = 0
    file_ends: int = 0
    now_s: float = 0.0
    patience_s: float = 20.0

    def __post_init__(self) -> None:
        self.sink = OfflineSink()
        self.mixer = StreamMixer(self.sink, patience_s=self.patience_s)
        self.player = MusicPlayer(self.mixer)
        self.player.start()

    def settle(self) -> None:
        """Let the player's thread bring the device to what was asked for."""
        device = self.player._device
        assert device is not None
        deadline_s = time.monotonic() + 20
        while device._pending():
            assert time.monotonic() < deadline_s
            time.sleep(0.0005)

    def listen(self, ticks: int) -> None:
        for _ in range(ticks):
            sound = self.sink.take(round(TICK_S * SAMPLE_RATE_HZ))[:, 0].astype(np.float32)
            windows = sound.reshape(-1, LEVEL_WINDOW) / np.float32(32767 * np.sqrt(0.5) * NOISE_RMS)
            self.levels.append(np.sqrt((windows**2).mean(axis=1)))
            self.now_s += TICK_S

    def pause(self, ticks: int) -> None:
        """Stand still for a while, and write down where no sound is due."""
        since_s = self.now_s
        self.player.pause(self.now_s)
        self.settle()
        self.listen(ticks)
        self.player.resume(self.now_s)
        self.settle()
        # A resume within the pause's fade waits for its end.
        self.silences_s.append((since_s, max(self.now_s + 0.6, since_s + 1.1)))

    def wait_decoded(self) -> None:
        """Let the newest song's decoder get as far ahead as it ever is, or to the song's end."""
        stream = self.mixer._newest
        assert stream is not None
        deadline_s = time.monotonic() + 20
        while stream.end is None and stream._decoded - stream._read_to < (AHEAD_S - 0.3) * SAMPLE_RATE_HZ:
            assert time.monotonic() < deadline_s
            time.sleep(0.0005)

    def lead_s(self) -> float:
        """How far the newest song's sound is before the player's clock."""
        status = self.player.status(self.now_s)
        assert status.segment is not None
        with self.mixer._lock:
            heard = self.mixer.mix.voices[-1].at - self.sink.queued()
        return status.segment.start_s + heard / SAMPLE_RATE_HZ - status.position_s

    def heard_db(self) -> NDArray[np.float32]:
        return 20 * np.log10(np.concatenate(self.levels) + 1e-6)

    def run(self, seconds: float, seed: int) -> None:
        """Songs end and follow each other; every few seconds something else is wanted.

        Songs begin anywhere. Half of them end with their file, half before; half are played 6 dB louder or quieter,
        and what is judged is what comes out after that.
        """
        rng = np.random.default_rng(seed)
        player = self.player
        due_s = 5.0
        self._play(rng, at_once=False)
        self.silences_s.append((0.0, 0.5))
        while self.now_s < seconds:
            status = player.status(self.now_s)
            if status.ended:
                self.file_ends += status.segment is not None and status.segment.song_end_s == _SONG_S
                self._play(rng, at_once=False)
            elif self.now_s >= due_s:
                due_s = self.now_s + rng.uniform(0.3, 12.0)
                what = rng.choice(["skip", "skip", "change", "pause", "volume", "stop"])
                since_s = self.now_s
                if what in ("skip", "change"):
                    self._play(rng, at_once=what == "skip")
                elif what == "volume":
                    player.set_volume(float(rng.choice([0.2, 0.5, 1.0])))
                elif what == "pause":
                    self.pause(int(rng.integers(1, 25)))
                elif what == "stop":
                    player.stop(self.now_s)
                    self.settle()
                    self.listen(int(rng.integers(1, 40)))
                    self._play(rng, at_once=bool(rng.integers(2)))
                if what == "stop":
                    self.silences_s.append((since_s, self.now_s + 0.6))
                self.joints += 1
                self.settle()
            self.listen(1)
        player.close()

    def _play(self, rng: np.random.Generator, *, at_once: bool) -> None:
        song = self.songs[int(rng.integers(len(self.songs)))]
        song_end_s = _SONG_S if rng.random() < 0.5 else song.song_end_s
        # half begin shortly before their end: few would come to it otherwise
        start_s = song_end_s - float(rng.uniform(_LEAST_S, rng.choice([2 * _LEAST_S, song_end_s])))
        gain_db = float(rng.choice([0.0, 0.0, -6.0, 6.0]))
        song = replace(song, start_s=start_s, end_s=start_s + _LEAST_S, song_end_s=song_end_s, gain_db=gain_db)
        self.player.play(song, self.now_s, at_once=at_once)
        self.joints += 1
        self.settle()


def longest_gap_ms(session: Session) -> float:
    """The longest run of near silence (40 dB below the song at a volume of 0.2) where sound was due."""
    silent = session.heard_db() < -54.0
    for since_s, until_s in session.silences_s:
        silent[round(since_s * 100) : round(until_s * 100)] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(int)))
    runs = edges[1::2] - edges[::2]
    return 10.0 * float(runs.max(initial=0))


def largest_step_db(session: Session, floor_db: float = -44.0) -> float:
    """The largest change from one 20-ms window to the next, on a grid of 10 ms, between levels above a floor."""
    power = np.concatenate(session.levels) ** 2
    level_db = np.maximum(10 * np.log10((power[1:] + power[:-1]) / 2 + 1e-12), floor_db)
    return float(np.abs(level_db[2:] - level_db[:-2]).max())
