"""The room: convolution with a synthetic impulse response."""

from __future__ import annotations

import numpy as np
from scipy import signal

from .struck_tones import SAMPLE_RATE_HZ, Samples

_PREDELAY_S = 0.018
# the time over which echoes grow dense
_BUILD_UP_S = 0.02
_WET = 0.85


def impulse_response(reverb_s: float, rng: np.random.Generator) -> Samples:
    """A room's tail: float32 [n, 2] of decaying noise, each side with energy 1, left and right unrelated.

    The sound above 2.5 kHz dies more than twice as fast as that below, as air and curtains have it, and there is no
    bass in it below 160 Hz, which would be mud.

    Args:
        reverb_s: the time in which it falls by 60 dB.
        rng: draws the noise.
    """
    n = int(reverb_s * SAMPLE_RATE_HZ)
    t = np.arange(n, dtype=np.float32)[:, None] / SAMPLE_RATE_HZ
    noise = rng.standard_normal((n, 2), dtype=np.float32)
    low = signal.sosfilt(signal.butter(1, 2500.0, fs=SAMPLE_RATE_HZ, output="sos"), noise, axis=0)
    # 6.908 = ln(1000): 60 dB
    tail = low * np.exp(-6.908 * t / reverb_s) + 0.6 * (noise - low) * np.exp(-6.908 * t / (0.42 * reverb_s))
    tail *= np.minimum(1.0, t / _BUILD_UP_S)
    tail = signal.sosfilt(signal.butter(2, 160.0, btype="highpass", fs=SAMPLE_RATE_HZ, output="sos"), tail, axis=0)
    tail /= np.sqrt((tail * tail).sum(axis=0))
    predelay = np.zeros((int(_PREDELAY_S * SAMPLE_RATE_HZ), 2))
    return np.concatenate([predelay, tail]).astype(np.float32)


def add_room(dry: Samples, send: Samples, reverb_s: float, rng: np.random.Generator) -> None:
    """Add the room's answer to `send` to `dry`, in place; what would sound past the end is cut."""
    response = impulse_response(reverb_s, rng)
    wet = np.float32(_WET * np.sqrt(reverb_s / 2.5))
    for side in (0, 1):
        dry[:, side] += wet * signal.oaconvolve(send[:, side], response[:, side])[: len(dry)]
