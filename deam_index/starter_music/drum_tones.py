"""Soft percussion: a felt kick, a tom, a shaker, brushes and a rim, each a single mono hit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import signal

from .score import Instrument
from .struck_tones import SAMPLE_RATE_HZ, Samples, damped


def kick(rng: np.random.Generator) -> Samples:
    """A skin under a felt beater: its pitch falls from about 110 to 50 Hz."""
    return _drop(48.0, 62.0, 0.03, 0.12, 0.34, rng)


def tom(rng: np.random.Generator) -> Samples:
    """A low frame drum."""
    return _drop(82.0, 40.0, 0.04, 0.2, 0.55, rng)


def shaker(rng: np.random.Generator) -> Samples:
    """Seeds in a gourd: a swell of noise high up, no edge."""
    n = int(0.11 * SAMPLE_RATE_HZ)
    x = np.arange(n) / n
    return _noise(n, (3800.0, 9500.0), x**0.7 * np.exp(-7.0 * x) * (1.0 - x), rng)


def brush(rng: np.random.Generator) -> Samples:
    """Wire brushes on a snare's skin."""
    n = int(0.22 * SAMPLE_RATE_HZ)
    x = np.arange(n) / n
    return _noise(n, (900.0, 6500.0), np.minimum(1.0, x / 0.03) * np.exp(-6.0 * x) * (1.0 - x), rng)


def rim(rng: np.random.Generator) -> Samples:
    """A stick laid across the rim: a dry wooden click, soft."""
    return damped([820.0 * rng.uniform(0.98, 1.02), 1720.0, 2650.0], [1.0, 0.5, 0.2], [0.07, 0.045, 0.03], 0.12)


def _drop(
    low_hz: float, fall_hz: float, fall_s: float, decay_s: float, seconds: float, rng: np.random.Generator
) -> Samples:
    t = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    turns = low_hz * rng.uniform(0.98, 1.02) * t + fall_hz * fall_s * (1.0 - np.exp(-t / fall_s))
    shape = np.exp(-t / decay_s) * (1.0 - t / seconds)
    return np.asarray(np.sin(2.0 * np.pi * turns) * shape, dtype=np.float32)


def _noise(
    n: int, band_hz: tuple[float, float], shape: np.ndarray[tuple[int], np.dtype[np.float64]], rng: np.random.Generator
) -> Samples:
    sos = signal.butter(2, band_hz, btype="bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(signal.sosfilt(sos, rng.standard_normal(n)) * shape, dtype=np.float32)


DRUMS: dict[Instrument, Callable[[np.random.Generator], Samples]] = {
    "kick": kick,
    "tom": tom,
    "shaker": shaker,
    "brush": brush,
    "rim": rim,
}
"""rng -> one hit; each call draws a slightly different one."""
