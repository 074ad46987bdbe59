"""Tones that are held: pads, strings and voices as endless ensembles, a flute and a reed with breath and vibrato."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .score import Instrument
from .struck_tones import SAMPLE_RATE_HZ, Samples, hertz

LOOP_SAMPLES = 1 << 17
"""Ensembles are loops of this length, 2.97 s, without a seam."""

_WIND_S = 6.0
_TABLE = 1 << 16


def ensemble_loop(midi: int, name: Instrument, brightness_hz: float, rng: np.random.Generator) -> Samples:
    """A stereo loop of a whole section playing one note: float32 [LOOP_SAMPLES, 2], root mean square 1.

    Each partial is a narrow band of noise rather than a line, as many players slightly apart make it, and the phases
    are random, so that an inverse FFT gives a loop without a seam: Nasca O. Paul's PADsynth algorithm, which he placed
    in the public domain (zynaddsubfx.sourceforge.net/doc/PADsynth/PADsynth.htm). Left and right share half of their
    power, so that the sound is wide and still there in mono.
    """
    base = hertz(midi)
    ratios, amplitudes, cents = _SECTIONS[name](base, brightness_hz)
    bins = LOOP_SAMPLES // 2 + 1
    magnitude = np.zeros(bins)
    bin_hz = SAMPLE_RATE_HZ / LOOP_SAMPLES
    for ratio, amplitude in zip(ratios, amplitudes, strict=True):
        centre = base * ratio
        if centre > 15_000.0 or amplitude < 1e-4:
            continue
        if cents == 0.0:
            # one line on the nearest bin, at most 0.17 Hz off: a drone that stands still rather than swells
            magnitude[round(centre / bin_hz)] += amplitude
            continue
        sigma = max(centre * (2.0 ** (cents / 1200.0) - 1.0) / 2.0, 0.35) / bin_hz
        low = max(1, int(centre / bin_hz - 4.0 * sigma))
        high = min(bins, int(centre / bin_hz + 4.0 * sigma) + 2)
        offset = (np.arange(low, high) - centre / bin_hz) / sigma
        magnitude[low:high] += amplitude / np.sqrt(sigma) * np.exp(-0.5 * offset * offset)
    sounding = np.flatnonzero(magnitude)
    phases = rng.uniform(0.0, 2.0 * np.pi, (3, sounding.size)).astype(np.float32)
    middle, left, right = magnitude[sounding].astype(np.float32) * np.exp(1j * phases)
    spectra = np.zeros((2, bins), dtype=np.complex64)
    spectra[:, sounding] = middle + left, middle + right
    loop = fft.irfft(spectra, LOOP_SAMPLES, axis=1).T
    return np.asarray(loop / np.sqrt(np.mean(loop * loop)), dtype=np.float32)


def wind(midi: int, name: Instrument, brightness_hz: float, rng: np.random.Generator) -> Samples:
    """A flute or reed held for six seconds, mono, root mean square about 0.5: vibrato sets in late, breath is heard."""
    harmonics, vibrato_cents, breath = _WINDS[name]
    base = hertz(midi)
    n = int(_WIND_S * SAMPLE_RATE_HZ)
    t = np.arange(n) / SAMPLE_RATE_HZ
    swing = vibrato_cents / 1200.0 * np.log(2.0) * np.clip((t - 0.25) / 0.9, 0.0, 1.0)
    rate_hz = rng.uniform(4.6, 5.4)
    # the integral of base * (1 + swing * sin): the phase, in turns
    turns = base * t - base * swing * np.cos(2.0 * np.pi * rate_hz * t) / (2.0 * np.pi * rate_hz)
    k = np.arange(1, len(harmonics) + 1)
    weights = np.asarray(harmonics) * np.exp(-base * (k - 1) / brightness_hz)
    angle = 2.0 * np.pi * np.arange(_TABLE) / _TABLE
    table = (weights[:, None] * np.sin(k[:, None] * angle)).sum(axis=0).astype(np.float32)
    wave = table[(turns * _TABLE).astype(np.int64) & (_TABLE - 1)]
    drift = 1.0 + 0.06 * np.sin(2.0 * np.pi * rng.uniform(0.3, 0.7) * t + rng.uniform(0.0, 6.28))
    noise = np.convolve(rng.standard_normal(n).astype(np.float32), np.hanning(24).astype(np.float32) / 12, mode="same")
    return np.asarray(wave * drift + breath * noise, dtype=np.float32)


_Section = tuple[NDArray[np.float64], NDArray[np.float64], float]


def _warm_pad(base: float, brightness_hz: float) -> _Section:
    k = np.arange(1, 33, dtype=np.float64)
    return k, k**-1.25 * np.exp(-base * k / (0.45 * brightness_hz)), 32.0


def _strings(base: float, brightness_hz: float) -> _Section:
    k = np.arange(1, 41, dtype=np.float64)
    # the bodies' own resonances, about 300 and 1000 Hz for a section of mixed sizes
    body = 0.6 + _hump(base * k, 330.0, 0.6) + 0.7 * _hump(base * k, 1100.0, 0.7)
    return k, body * k**-0.95 * np.exp(-base * k / (0.55 * brightness_hz)), 24.0


def _choir(base: float, brightness_hz: float) -> _Section:
    k = np.arange(1, 33, dtype=np.float64)
    # the formants of "oo", after Peterson & Barney 1952 (between their means for men and women): a vowel without
    # the strong fifth partial that would lend every minor chord a major third
    vowel = 0.08 + _hump(base * k, 335.0, 0.6) + 0.4 * _hump(base * k, 910.0, 0.3) + 0.12 * _hump(base * k, 2450.0, 0.2)
    return k, vowel * k**-0.5 * np.exp(-base * k / (0.7 * brightness_hz)), 30.0


def _glass_pad(base: float, brightness_hz: float) -> _Section:
    ratios = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.02])
    amplitudes = np.array([1.0, 0.35, 0.22, 0.16, 0.09, 0.05, 0.02])
    return ratios, amplitudes * np.exp(-base * ratios / brightness_hz), 13.0


def _sub_drone(base: float, brightness_hz: float) -> _Section:
    k = np.arange(1, 9, dtype=np.float64)
    return k, k**-1.5 * np.exp(-base * k / (0.15 * brightness_hz)), 0.0


def _hump(hz: NDArray[np.float64], centre_hz: float, octaves: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * (np.log2(hz / centre_hz) / octaves) ** 2))


_SECTIONS: dict[Instrument, Callable[[float, float], _Section]] = {
    "warm_pad": _warm_pad,
    "strings": _strings,
    "spiccato": _strings,
    "choir": _choir,
    "glass_pad": _glass_pad,
    "sub_drone": _sub_drone,
}
SECTIONS = frozenset(_SECTIONS)
"""The instruments that `ensemble_loop` plays."""

# harmonics, depth of vibrato in cents, level of breath
_WINDS: dict[Instrument, tuple[tuple[float, ...], float, float]] = {
    "flute": ((0.8, 0.34, 0.16, 0.05, 0.02), 14.0, 0.045),
    # a cylindrical bore closed at one end: odd harmonics lead
    "reed": ((0.7, 0.04, 0.38, 0.05, 0.20, 0.05, 0.09, 0.03), 8.0, 0.02),
}
WINDS = frozenset(_WINDS)
"""The instruments that `wind` plays."""
