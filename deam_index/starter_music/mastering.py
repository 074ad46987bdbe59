"""Equal loudness, no clipped peak, soft ends."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .audio_file import integrated_loudness
from .struck_tones import SAMPLE_RATE_HZ, Samples

LOUDNESS_LUFS = -18.0
"""Integrated loudness of every file, by ITU-R BS.1770."""

# Two decibels under the promised -1 dBTP: room for what lies between samples and for what the codec adds.
_CEILING = 10.0 ** (-3.0 / 20.0)
_FADE_IN_S = 0.02
_FADE_OUT_S = 2.8
_LOOK_AHEAD_S = 0.004
_RIDE_BLOCK = 4410
_RIDE_SIGMA_S = 2.0
# Limiting that took more than this share of the energy (0.05 dB) calls for a second levelling.
_AUDIBLE_LOSS = 0.011


def master(mix: Samples) -> Samples:
    """A finished piece: float32 [n, 2] at LOUDNESS_LUFS, within -3 dBFS.

    Raises:
        MissingExtraError: pyloudnorm is not installed.
    """
    piece: Samples = mix.copy()
    _ride(piece)
    _fade(piece)
    piece *= _gain_to_target(piece)
    if _limit(piece) > _AUDIBLE_LOSS:
        piece *= _gain_to_target(piece)
        _limit(piece)
    return piece


def _ride(piece: Samples) -> None:
    """Halve the slow swings of level, in place, as a hand on the fader would: a piece may be entered at any window."""
    blocks = len(piece) // _RIDE_BLOCK
    cut = piece[: blocks * _RIDE_BLOCK]
    power = np.einsum("ij,ij->i", *[cut.reshape(blocks, -1)] * 2) / _RIDE_BLOCK
    slow = ndimage.gaussian_filter1d(power, _RIDE_SIGMA_S * SAMPLE_RATE_HZ / _RIDE_BLOCK, mode="nearest")
    gain = (np.median(slow) / np.maximum(slow, 0.02 * np.median(slow))) ** 0.25
    centres = (np.arange(blocks) + 0.5) * _RIDE_BLOCK
    piece *= np.interp(np.arange(len(piece)), centres, gain).astype(np.float32)[:, None]


def _fade(piece: Samples) -> None:
    into = int(_FADE_IN_S * SAMPLE_RATE_HZ)
    out = int(_FADE_OUT_S * SAMPLE_RATE_HZ)
    piece[:into] *= (0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, into, dtype=np.float32)))[:, None]
    piece[-out:] *= (0.5 + 0.5 * np.cos(np.linspace(0.0, np.pi, out, dtype=np.float32)))[:, None]


def _gain_to_target(piece: Samples) -> float:
    return float(10.0 ** ((LOUDNESS_LUFS - integrated_loudness(piece, SAMPLE_RATE_HZ)) / 20.0))


def _limit(piece: Samples) -> float:
    """Hold peaks at the ceiling, in place; the share of the energy that this took.

    The gain is the least that any sample within the look-ahead needs, averaged over a window no longer than that, so
    that it moves smoothly and is in place before the peak.
    """
    level = np.maximum(np.abs(piece[:, 0]), np.abs(piece[:, 1]))
    if level.max() <= _CEILING:
        return 0.0
    span = int(_LOOK_AHEAD_S * SAMPLE_RATE_HZ) * 2 + 1
    needed = np.minimum(1.0, _CEILING / np.maximum(ndimage.maximum_filter1d(level, span), np.float32(1e-9)))
    gain = ndimage.uniform_filter1d(needed, span).astype(np.float32)
    piece *= gain[:, None]
    before = float(np.dot(level, level))
    level *= gain
    return 1.0 - float(np.dot(level, level)) / before
