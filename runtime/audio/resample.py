"""A song's own rate and channels to the mixer's: a polyphase windowed-sinc filter that works a chunk at a time.

scipy.signal would do it too, at 0.7 s and 38 MB for its import in the middle of a song; SDL 2's audio stream loses
samples at the joints of chunks (12 ms in 2 s of 48 kHz).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .output import SAMPLE_RATE_HZ

_ZERO_CROSSINGS = 16
_KAISER_BETA = 8.0
"""Stop band at about -80 dB (Kaiser 1974)."""
_PASS = 0.95
"""The filter's cutoff as a share of the lower Nyquist frequency: of 44.1 kHz, 17 kHz pass whole and 22 kHz not."""
_OTHERS = math.sqrt(0.5)


def to_stereo(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Float32 [n, channels] to [n, 2], never beyond the channels' full scale; a single one sounds on both sides."""
    channels = samples.shape[1]
    if channels == 1:
        return np.repeat(samples, 2, axis=1)
    if channels == 2:
        return samples
    others = samples[:, 2:].sum(axis=1, keepdims=True) * np.float32(_OTHERS)
    stereo: NDArray[np.float32] = (samples[:, :2] + others) / np.float32(1 + _OTHERS * (channels - 2))
    return stereo


class Resampler:
    """Takes a song's chunks in their order; what comes out does not depend on where the chunks are cut."""

    def __init__(self, rate_hz: int) -> None:
        """Make the filter for a rate, > 0."""
        divisor = math.gcd(rate_hz, SAMPLE_RATE_HZ)
        self._up, self._down = SAMPLE_RATE_HZ // divisor, rate_hz // divisor
        cutoff = _PASS * min(1.0, self._up / self._down)
        self._half = math.ceil(_ZERO_CROSSINGS / cutoff)
        # Row p holds the weights of the 2 * half frames around a place p / up behind a frame.
        offsets = np.arange(1 - self._half, self._half + 1) - np.arange(self._up)[:, None] / self._up
        window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1.0 - (offsets / self._half) ** 2)))
        weights = np.sinc(cutoff * offsets) * window
        self._weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        # Silence before the song; the first frame held is number -half + 1 of the song.
        self._held = np.zeros((self._half - 1, 2), np.float32)
        self._first = 1 - self._half
        self._taken = 0
        self._given = 0

    def convert(self, samples: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        """Float32 [n, 2] to [m, 2]: all that can be told yet; with `last`, what is still inside."""
        self._taken += len(samples)
        after = np.zeros((self._half if last else 0, 2), np.float32)
        self._held = np.concatenate([self._held, samples, after])
        if last:
            until = -(-self._taken * self._up // self._down)
        else:
            # The last place whose frames are all there: base + half <= taken - 1.
            until = max(self._given, -(-(self._taken - self._half) * self._up // self._down))
        places = np.arange(self._given, until, dtype=np.int64) * self._down
        base, phase = places // self._up, places % self._up
        if not len(base):
            return np.zeros((0, 2), np.float32)
        windows = sliding_window_view(self._held, 2 * self._half, axis=0)[base - self._half + 1 - self._first]
        out: NDArray[np.float32] = np.einsum("nck,nk->nc", windows, self._weights[phase])
        self._given = until
        keep_from = until * self._down // self._up - self._half + 1
        self._held = self._held[max(0, keep_from - self._first) :]
        self._first = max(self._first, keep_from)
        return out
