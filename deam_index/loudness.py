"""How loud a file sounds (EBU R128), and the one gain that brings all songs to the same loudness.

Integrated loudness and true peak are those of ITU-R BS.1770-4, with pyloudnorm's filters; a file is read in blocks, so
that an hour of music costs no more memory than ten seconds. A mono file is measured as it sounds, from two speakers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.errors import IndexFileError, MissingExtraError

TARGET_LUFS = -18.0
"""Where songs are brought to: the level of ReplayGain 2 and within the -16 to -20 LUFS that AES TD1008 (2021) asks of
streams; EBU R128's own -23 is for broadcasts, and leaves a small speaker with too little."""

CEILING_DBTP = -1.0
"""The highest true peak after the gain (EBU R128 s1, AES TD1008)."""

MOST_GAIN_DB = 12.0
"""A quieter file than this mends is left quieter: raised further, its noise would be the song."""

# BS.1770-4, annex 1: blocks of 400 ms that overlap by 75 %, gates at -70 LKFS and 10 LU below the mean of what passes.
_HOP_S = 0.1
_HOPS_PER_BLOCK = 4
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_OFFSET_LUFS = -0.691

# Annex 2: four times as many samples find the peaks between them to some tenths of a decibel.
_OVERSAMPLING = 4
# Samples on either side that resample_poly's filter (10 a side at the old rate) may look at.
_CONTEXT = 32
_BLOCK_S = 10.0


@dataclass(frozen=True, slots=True)
class Loudness:
    """What was measured.

    Attributes:
        integrated_lufs: -inf for silence, and for less than 0.4 s.
        true_peak_dbtp: -inf for digital silence.
    """

    integrated_lufs: float
    true_peak_dbtp: float


def gain_db(
    integrated_lufs: float,
    true_peak_dbtp: float,
    *,
    target_lufs: float = TARGET_LUFS,
    ceiling_dbtp: float = CEILING_DBTP,
) -> float:
    """The gain for a whole song: to the target, but no peak above the ceiling and no more than MOST_GAIN_DB.

    Silence is left as it is.
    """
    if not math.isfinite(integrated_lufs) or not math.isfinite(true_peak_dbtp):
        return 0.0
    return min(target_lufs - integrated_lufs, ceiling_dbtp - true_peak_dbtp, MOST_GAIN_DB)


def require_meter() -> None:
    """Make sure that files can be measured.

    Raises:
        MissingExtraError: they cannot.
    """
    try:
        import pyloudnorm  # noqa: F401
        import soundfile  # noqa: F401
    except ImportError as cause:
        raise MissingExtraError(
            f"Measuring loudness needs the package {cause.name}, which is not installed.",
            mend="pip install 'emomusic-edge[library]'",
        ) from cause


def measure(path: Path) -> Loudness:
    """Measure one file.

    Raises:
        IndexFileError: it does not decode.
    """
    import soundfile

    from emomusic_edge.sound_file import open_sound

    try:
        with open_sound(path) as file:
            meter = _Meter(file.samplerate, file.channels)
            block = int(_BLOCK_S * file.samplerate)
            while len(samples := file.read(block, dtype="float64", always_2d=True)):
                meter.feed(samples)
    except (soundfile.SoundFileError, OSError, RuntimeError, TypeError, ValueError) as cause:
        raise IndexFileError(f"{path} does not decode: {cause}.", mend="Remove or replace it.") from cause
    return meter.result()


class _Meter:
    """Takes a signal block by block, float64 [n, channels], full scale 1."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        from pyloudnorm import IIRfilter

        # annex 1's two stages for any rate, as pyloudnorm's own "K-weighting" makes them
        self._filters = [
            IIRfilter(4.0, 1 / np.sqrt(2), 1500.0, rate_hz, "high_shelf"),
            IIRfilter(0.0, 0.5, 38.0, rate_hz, "high_pass"),
        ]
        self._states = [np.zeros((2, channels)) for _ in self._filters]
        self._weights = np.ones(channels)
        if channels == 5:
            self._weights[3:] = 1.41  # left and right surround, annex 1, table 4
        if channels == 1:
            self._weights[:] = 2.0  # one signal, two speakers
        self._hop = round(_HOP_S * rate_hz)
        self._oversampling = _OVERSAMPLING if rate_hz < 96_000 else 1
        self._waiting = np.empty((0, channels))
        self._hop_energies: list[NDArray[np.float64]] = []
        self._tail = np.zeros((_CONTEXT, channels))
        self._peak = 0.0

    def feed(self, samples: NDArray[np.float64]) -> None:
        self._look_for_peak(samples)
        weighted = samples
        from scipy.signal import lfilter

        for stage, coefficients in enumerate(self._filters):
            weighted, self._states[stage] = lfilter(
                coefficients.b, coefficients.a, weighted, axis=0, zi=self._states[stage]
            )
        weighted = np.concatenate([self._waiting, weighted * np.sqrt(self._weights)])
        hops = len(weighted) // self._hop
        whole = weighted[: hops * self._hop].reshape(hops, -1)
        self._hop_energies.append(np.einsum("ij,ij->i", whole, whole) / self._hop)
        self._waiting = weighted[hops * self._hop :]

    def result(self) -> Loudness:
        self._look_for_peak(np.zeros((_CONTEXT, len(self._weights))))
        true_peak = 20 * math.log10(self._peak) if self._peak > 0 else -math.inf
        hops = np.concatenate(self._hop_energies) if self._hop_energies else np.empty(0)
        if len(hops) < _HOPS_PER_BLOCK:
            return Loudness(-math.inf, true_peak)
        blocks = np.convolve(hops, np.full(_HOPS_PER_BLOCK, 1 / _HOPS_PER_BLOCK), "valid")
        loud = blocks[blocks > _energy(_ABSOLUTE_GATE_LUFS)]
        if len(loud):
            loud = loud[loud > _energy(_lufs(loud.mean()) + _RELATIVE_GATE_LU)]
        return Loudness(_lufs(loud.mean()) if len(loud) else -math.inf, true_peak)

    def _look_for_peak(self, samples: NDArray[np.float64]) -> None:
        from scipy.signal import resample_poly

        # what lies before and after a block is heard by the filter too; the blocks' peaks overlap
        joined = np.concatenate([self._tail, samples])
        between = resample_poly(joined, self._oversampling, 1, axis=0) if self._oversampling > 1 else joined
        kept = between[: len(between) - _CONTEXT // 2 * self._oversampling]
        self._peak = max(self._peak, float(np.abs(kept).max(initial=0.0)), float(np.abs(samples).max(initial=0.0)))
        self._tail = joined[-_CONTEXT:]


def _energy(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET_LUFS) / 10))


def _lufs(energy: float) -> float:
    return _OFFSET_LUFS + 10 * math.log10(energy) if energy > 0 else -math.inf
