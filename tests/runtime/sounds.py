"""Sounds made and sounds recorded: files with known pitches, and what SDL's disk driver wrote of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ

WINDOW = SAMPLE_RATE_HZ // 50
FORMATS = {"wav": "WAV", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3"}
CHIRP_HZ_PER_S = 100.0
MADE_OUTPUT = """
from emomusic_edge.runtime.audio.mixer import StreamMixer
from emomusic_edge.runtime.audio.sdl import SdlSink
output = StreamMixer(SdlSink())
"""
"""The start of a script: the real output, as app.py builds it."""


def write(path: Path, mono: NDArray[np.float64]) -> Path:
    """A stereo file in the format its name says; in blocks, since libsndfile's Vorbis writer overruns its stack."""
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 2, format=FORMATS[path.suffix[1:]]) as out:
        for block in np.array_split(np.column_stack([mono, mono]), 1 + len(mono) // SAMPLE_RATE_HZ):
            out.write(block)
    return path


def sine(pitch_hz: float, seconds: float, amplitude: float = 0.99) -> NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * pitch_hz * np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)


def chirp(seconds: float) -> NDArray[np.float64]:
    """Its pitch tells the time: 400 Hz at 0 s, and 100 Hz more each second."""
    t = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return 0.8 * np.sin(2 * np.pi * (400 * t + CHIRP_HZ_PER_S * t**2 / 2))


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], env=os.environ | environment, capture_output=True, text=True, timeout=60
    )


def recording(script: str, folder: Path) -> NDArray[np.float64]:
    """What a script made SDL sound: [frames, 2], full scale 1."""
    raw = folder / "heard.raw"
    done = run(script, SDL_AUDIODRIVER="disk", SDL_DISKAUDIOFILE=str(raw))
    assert done.returncode == 0, done.stderr
    return np.fromfile(raw, np.int16).reshape(-1, 2) / 32768


def judged(script: str, folder: Path, judge: Callable[[NDArray[np.float64]], None], *, attempts: int = 3) -> None:
    """Record and judge in real time; one good attempt counts.

    A busy machine tears what is heard now and then, and can only make it worse; what the program does wrong, it does
    each time.
    """
    for left in reversed(range(attempts)):
        try:
            judge(recording(script, folder))
            return
        except AssertionError:
            if not left:
                raise


def levels(heard: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square of each 20-ms window."""
    left = heard[: len(heard) // WINDOW * WINDOW, 0].reshape(-1, WINDOW)
    return np.sqrt((left**2).mean(axis=1))


def strength(heard: NDArray[np.float64], pitch_hz: float) -> NDArray[np.float64]:
    """The amplitude of one pitch in each 20-ms window; exact for multiples of 50 Hz."""
    left = heard[: len(heard) // WINDOW * WINDOW, 0].reshape(-1, WINDOW)
    wave = np.exp(-2j * np.pi * pitch_hz * np.arange(WINDOW) / SAMPLE_RATE_HZ)
    return 2 * np.abs(left @ wave) / WINDOW
