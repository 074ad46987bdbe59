"""What playing costs and how soon a skip is heard: the real player on SDL's disk driver, songs of ten minutes.

For each format: 20 skips to random places, each timed from the call of Player.play to the file's sample at which the
new song has half its amplitude (so with opening, seeking, decoding, mixing and the fade); the processor time of 10 s of
playing as a share of one core; what the process grew by. SDL takes 12 ms at a time, and the file that it writes grows
by 23 ms at a time (4096 bytes), so that a skip is told up to 23 ms too long.

Then a sound server is killed and started again, and the song must be heard within 10 s, as the test of that promises.
The tests hold both promises with slack; here, on a quiet machine, they hold as they stand, and the command fails where
one is missed.

    python benchmarks/playback.py [FORMAT …]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from emomusic_edge.contracts import Segment
from emomusic_edge.runtime.audio.mix import HEADROOM
from emomusic_edge.runtime.audio.mixer import StreamMixer
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.audio.sdl import SdlSink

MINUTES = 10
SKIPS = 20
PLAYING_S = 10.0
AMPLITUDE = 0.5
PITCHES_HZ = (600.0, 1500.0)
FORMATS = ("wav", "flac", "ogg", "mp3")
LONGEST_SKIP_MS = 300.0
DEVICE_TEST = Path("tests/runtime/audio/test_pulse.py")


def main(formats: Sequence[str]) -> int:
    """Make the songs, run a process for each format, print a table, then lose the device; 1 if a bound is missed."""
    missed = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("format   skip, median   skip, longest   one core   grew by")
        for ending in formats:
            for pitch_hz in PITCHES_HZ:
                _write_song(folder / f"{pitch_hz:.0f}.{ending}", pitch_hz)
            environment = os.environ | {"SDL_AUDIODRIVER": "disk", "SDL_DISKAUDIOFILE": str(folder / "heard.raw")}
            command = [sys.executable, __file__, "--measure", str(folder), ending]
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            longest_ms, told = done.stdout.split(maxsplit=1)
            print(told, end="")
            if float(longest_ms) > LONGEST_SKIP_MS:
                missed.append(f"MISSED: {ending}: a skip took {longest_ms} ms, at most {LONGEST_SKIP_MS:g} ms")
    if not _device_comes_back():
        missed.append("MISSED: a lost sound server is heard again within 10 s")
    for line in missed:
        print(line, file=sys.stderr)
    return 1 if missed else 0


def _device_comes_back() -> bool:
    """The test of a sound server that dies, held to its promise; without pulseaudio it says what is missing."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-m", "slow", str(DEVICE_TEST)],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"QUIET_MACHINE": "1"},
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith(("missed", "found", "heard", "SKIPPED", "E "))]
    print("a sound server killed and started again:", *(told or [done.stdout]), sep="\n  ")
    return done.returncode == 0


def _write_song(path: Path, pitch_hz: float) -> None:
    second = AMPLITUDE * np.sin(2 * np.pi * pitch_hz * np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 2, format=path.suffix[1:].upper()) as out:
        for _ in range(60 * MINUTES):
            out.write(np.column_stack([second, second]))


def _measure(folder: Path, ending: str) -> None:
    rng = np.random.default_rng(1)
    raw = folder / "heard.raw"
    player = MusicPlayer(StreamMixer(SdlSink()))
    player.start()
    songs = [folder / f"{pitch_hz:.0f}.{ending}" for pitch_hz in PITCHES_HZ]

    def play(number: int) -> None:
        start_s = float(rng.uniform(0, 60 * MINUTES - 60))
        segment = Segment("song", start_s, start_s + 10, 0.0, 0.0, songs[number % 2], 60.0 * MINUTES)
        player.play(segment, time.monotonic(), at_once=True)

    before_mb = _peak_mb()
    play(0)
    time.sleep(3.0)
    calls = []
    for number in range(1, SKIPS + 1):
        calls.append((number, raw.stat().st_size // 4))
        play(number)
        time.sleep(float(rng.uniform(0.9, 1.1)))
    busy_s = time.process_time()
    time.sleep(PLAYING_S)
    busy_s = time.process_time() - busy_s
    grew_mb = _peak_mb() - before_mb
    assert player.status(time.monotonic()).reason == ""
    player.close()
    heard = np.fromfile(raw, np.int16).reshape(-1, 2)[:, 0] / (32767 * HEADROOM * AMPLITUDE)
    waits_ms = [1000 * _frames_until(heard[at:], PITCHES_HZ[number % 2]) / SAMPLE_RATE_HZ for number, at in calls]
    # the number that is held to a bound, then the line that is shown
    print(
        f"{max(waits_ms):.0f} {ending:6} {statistics.median(waits_ms):11.0f} ms {max(waits_ms):12.0f} ms "
        f"{busy_s / PLAYING_S:9.1%} {grew_mb:7.1f} MB"
    )


def _frames_until(heard: NDArray[np.float64], pitch_hz: float) -> int:
    """The first frame around which, for 10 ms, a pitch has half the song's amplitude."""
    window = SAMPLE_RATE_HZ // 100
    wave = np.exp(-2j * np.pi * pitch_hz * np.arange(len(heard[:SAMPLE_RATE_HZ])) / SAMPLE_RATE_HZ)
    strength = 2 * np.abs(np.convolve(heard[:SAMPLE_RATE_HZ] * wave, np.full(window, 1 / window), mode="valid"))
    return int(np.flatnonzero(strength >= 0.5)[0]) + window // 2


def _peak_mb() -> float:
    """The most memory this process ever held."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        _measure(Path(sys.argv[2]), sys.argv[3])
    else:
        sys.exit(main(sys.argv[1:] or FORMATS))
