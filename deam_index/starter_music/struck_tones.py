"""Tones that are struck or plucked and die away: sums of damped partials, with the noise of the hand or hammer.

A struck bar or plucked string is a sum of exponentially damped sines. A sum of K of them over n samples is a matrix
product of inner size 2 K once time is cut into blocks, exp(s (b + j)) = exp(s b) exp(s j), which costs about a
millisecond where a loop over sines takes ten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .score import Instrument

SAMPLE_RATE_HZ = 44_100

Samples = NDArray[np.float32]
"""float32 [n] (mono) or [n, 2] (stereo)."""

_BLOCK = 512
# Rows of a matrix product at once: few enough that BLAS keeps it on one thread, since worker processes already fill
# the cores (two threads each took a quarter more processor time).
_ROWS = 16
# -60 dB as a factor's exponent: exp(-6.908) = 0.001
_LN_1000 = 6.908


def damped(
    frequencies_hz: Sequence[float] | NDArray[np.float64],
    amplitudes: Sequence[float] | NDArray[np.float64],
    t60_s: Sequence[float] | NDArray[np.float64],
    seconds: float,
) -> Samples:
    """The sum of sines that start at zero phase and fall by 60 dB in `t60_s`; those above 16 kHz are left out."""
    frequencies = np.asarray(frequencies_hz, dtype=np.float64)
    audible = frequencies < 16_000.0
    poles = (2j * np.pi * frequencies - _LN_1000 / np.asarray(t60_s, dtype=np.float64))[audible] / SAMPLE_RATE_HZ
    weights = np.asarray(amplitudes, dtype=np.float64)[audible]
    rows = -(-int(seconds * SAMPLE_RATE_HZ) // (_BLOCK * _ROWS)) * _ROWS
    coarse = (np.exp(np.outer(np.arange(rows) * float(_BLOCK), poles)) * weights).astype(np.complex64)
    fine = np.exp(np.outer(poles, np.arange(_BLOCK))).astype(np.complex64)
    # the imaginary part of the complex product: sines
    left = np.hstack([coarse.real, coarse.imag]).reshape(-1, _ROWS, 2 * len(poles))
    right = np.vstack([fine.imag, fine.real])
    return np.asarray((left @ right).ravel(), dtype=np.float32)


def hertz(midi: float) -> float:
    """The frequency of a MIDI note number, A4 = 440 Hz."""
    return float(440.0 * 2.0 ** ((midi - 69.0) / 12.0))


def felt_piano(midi: int, touch: float, brightness_hz: float, rng: np.random.Generator) -> Samples:
    """An upright with felt before the strings: two strings a note, slightly apart, and the soft thud of the hammer."""
    base = hertz(midi)
    k = np.arange(1, 15)
    # stiffness sharpens upper partials (Fletcher, "Normal vibration frequencies of a stiff piano string", 1964)
    stiffness = 0.00035 * 2.0 ** ((midi - 60) / 14.0)
    ratios = k * np.sqrt(1.0 + stiffness * k * k)
    amplitudes = np.abs(np.sin(k * np.pi / 7.6)) / k**0.7 * np.exp(-k * (0.62 - 0.38 * touch))
    amplitudes = amplitudes * np.exp(-base * k / (1.6 * brightness_hz))
    t60 = 8.5 * 2.0 ** (-(midi - 48) / 17.0) / (1.0 + 0.22 * (k - 1))
    cents = 2.0 ** (rng.uniform(0.5, 1.1) / 1200.0)
    frequencies = np.concatenate([base * ratios / cents, base * ratios * cents])
    wave = damped(frequencies, np.concatenate([amplitudes, 0.8 * amplitudes]), np.concatenate([t60, 0.55 * t60]), 6.0)
    return _with_knock(wave, 0.05 + 0.05 * touch, 320.0, 0.035, rng)


def electric_piano(midi: int, touch: float, brightness_hz: float, rng: np.random.Generator) -> Samples:
    """A tine piano by frequency modulation: a bark that follows the touch, and a short bell on top."""
    base = hertz(midi) * 2.0 ** (rng.uniform(-1.5, 1.5) / 1200.0)
    t = np.arange(int(5.0 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    turn = (base * t) % 1.0
    phase = (2.0 * np.pi * turn).astype(np.float32)
    seconds = t.astype(np.float32)
    sine = np.sin(phase)
    index = np.float32((0.35 + 1.1 * touch) * min(1.0, brightness_hz / 4500.0))
    body = np.sin(phase + index * np.exp(-seconds / np.float32(0.7)) * sine)
    body *= np.exp(-seconds / np.float32(1.5 * 2.0 ** (-(midi - 60) / 24.0)))
    bell = damped([base * 7.0, base * 13.0], [0.10 * touch, 0.03 * touch], [0.5, 0.2], 0.6)
    wave: Samples = body.astype(np.float32)
    wave[: bell.size] += bell
    return wave


def harp(midi: int, touch: float, brightness_hz: float, rng: np.random.Generator) -> Samples:
    """A soft string plucked near a third of its length."""
    return _string(midi, touch, brightness_hz, rng, pluck=0.31, t60_s=5.5, damping=0.16, knock=0.01)


def nylon(midi: int, touch: float, brightness_hz: float, rng: np.random.Generator) -> Samples:
    """A nylon-strung guitar, plucked near the sound hole, with its box."""
    wave = _string(midi, touch, brightness_hz, rng, pluck=0.17, t60_s=3.2, damping=0.3, knock=0.03)
    box = damped([98.0, 204.0, 390.0], [0.09, 0.07, 0.03], [0.18, 0.14, 0.09], 0.3)
    wave[: box.size] += box * np.float32(0.5 + touch)
    return wave


def vibraphone(midi: int, touch: float, brightness_hz: float, rng: np.random.Generator) -> Samples:
    """A metal bar tuned 1 : 4 : 10 under soft mallets, with the slow beating of its fans."""
    wave = _bar(midi, touch, brightness_hz, (1.0, 4.0, 10.0), (1.0, 0.16, 0.05), (5.0, 1.4, 0.35), 5.0)
    t = np.arange(wave.size, dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)
    fans = 1.0 - np.float32(0.12) * (1.0 - np.cos(np.float32(2 * np.pi * rng.uniform(4.2, 4.8)) * t))
    return np.asarray(wave * fans, dtype=np.float32)


def kalimba(midi: int, touch: float, brightness_hz: float, rng: np.random.Generator) -> Samples:
    """A plucked tongue: a clamped bar's partials (1 : 6.27), short, over a wooden knock."""
    wave = _bar(midi, touch, brightness_hz, (1.0, 2.0, 6.27), (1.0, 0.10, 0.14), (2.4, 1.0, 0.25), 2.8)
    return _with_knock(wave, 0.05 + 0.04 * touch, 700.0, 0.02, rng)


def celesta(midi: int, touch: float, brightness_hz: float, rng: np.random.Generator) -> Samples:
    """Felt on steel plates over wooden boxes."""
    wave = _bar(midi, touch, brightness_hz, (1.0, 2.0, 4.0, 9.2), (1.0, 0.22, 0.12, 0.03), (2.6, 1.6, 0.7, 0.2), 3.0)
    return _with_knock(wave, 0.03, 900.0, 0.012, rng)


def marimba(midi: int, touch: float, brightness_hz: float, rng: np.random.Generator) -> Samples:
    """A wooden bar tuned 1 : 4 over its tube."""
    wave = _bar(midi, touch, brightness_hz, (1.0, 3.93, 9.5), (1.0, 0.26, 0.06), (1.5, 0.35, 0.09), 1.8)
    return _with_knock(wave, 0.05 + 0.05 * touch, 500.0, 0.015, rng)


def round_bass(midi: int, touch: float, brightness_hz: float, rng: np.random.Generator) -> Samples:
    """A double bass plucked with the soft of the finger."""
    base = hertz(midi) * 2.0 ** (rng.uniform(-2.0, 2.0) / 1200.0)
    k = np.arange(1, 11)
    amplitudes = np.abs(np.sin(k * np.pi * 0.22)) / k**1.2 * np.exp(-base * k / (180.0 + 420.0 * touch))
    wave = damped(base * k, amplitudes, np.asarray(4.5 / (1.0 + 0.45 * (k - 1)), dtype=np.float64), 5.0)
    return _with_knock(wave, 0.04, 160.0, 0.03, rng)


def _string(
    midi: int,
    touch: float,
    brightness_hz: float,
    rng: np.random.Generator,
    *,
    pluck: float,
    t60_s: float,
    damping: float,
    knock: float,
) -> Samples:
    base = hertz(midi) * 2.0 ** (rng.uniform(-1.5, 1.5) / 1200.0)
    k = np.arange(1, 25)
    # an ideal string plucked at a point: sin(k pi p) / k^2 in displacement, / k in velocity, which is what radiates
    amplitudes = np.sin(k * np.pi * pluck) / k * np.exp(-base * k / (brightness_hz * (0.35 + 0.8 * touch)))
    t60 = t60_s * 2.0 ** (-(midi - 52) / 20.0) / (1.0 + damping * (k - 1) ** 1.2)
    wave = damped(base * k * np.sqrt(1.0 + 0.00004 * k * k), amplitudes, t60, t60_s)
    return _with_knock(wave, knock, 1400.0, 0.008, rng)


def _bar(
    midi: int,
    touch: float,
    brightness_hz: float,
    ratios: tuple[float, ...],
    amplitudes: tuple[float, ...],
    t60_s: tuple[float, ...],
    seconds: float,
) -> Samples:
    base = hertz(midi)
    ratio = np.asarray(ratios)
    weights = np.asarray(amplitudes) * np.where(ratio > 1.0, 0.4 + 1.1 * touch, 1.0)
    weights = weights * np.exp(-base * (ratio - 1.0) / (2.0 * brightness_hz))
    return damped(base * ratio, weights, np.asarray(t60_s) * 2.0 ** (-(midi - 66) / 26.0), seconds)


def _with_knock(wave: Samples, level: float, centre_hz: float, seconds: float, rng: np.random.Generator) -> Samples:
    # a few damped modes at random about a centre: what a hammer, thumb or mallet sets off in the wood
    frequencies = centre_hz * 2.0 ** rng.uniform(-1.0, 1.0, 7)
    burst = damped(frequencies, level * rng.uniform(-1.0, 1.0, 7), np.full(7, seconds * 3.0), seconds * 3.5)
    wave[: burst.size] += burst
    return wave


STRUCK: dict[Instrument, Callable[[int, float, float, np.random.Generator], Samples]] = {
    "felt_piano": felt_piano,
    "electric_piano": electric_piano,
    "harp": harp,
    "nylon": nylon,
    "vibraphone": vibraphone,
    "kalimba": kalimba,
    "celesta": celesta,
    "marimba": marimba,
    "round_bass": round_bass,
}
"""(midi, touch 0..1, brightness_hz, rng) -> a mono tone from its onset until it has died away."""
