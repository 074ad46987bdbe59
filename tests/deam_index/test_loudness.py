"""Loudness and peaks, held against pyloudnorm's own meter and what is known of sines; gains by arithmetic."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from tone_files import write_tone

from emomusic_edge.deam_index.loudness import MOST_GAIN_DB, Loudness, gain_db, measure
from emomusic_edge.errors import IndexFileError


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 22_050])
@pytest.mark.parametrize("seconds", [0.7, 9.99, 34.2])
def test_music_like_noise_measures_as_pyloudnorm_has_it(tmp_path: Path, rate_hz: int, seconds: float) -> None:
    generator = np.random.default_rng(1)
    samples = generator.normal(0, 0.05, (round(seconds * rate_hz), 2))
    samples *= np.repeat(generator.uniform(0.0, 1.5, len(samples) // 4410 + 1), 4410)[: len(samples), None]
    soundfile.write(tmp_path / "a.wav", samples, rate_hz, "DOUBLE")
    expected = pyloudnorm.Meter(rate_hz).integrated_loudness(samples)
    assert measure(tmp_path / "a.wav").integrated_lufs == pytest.approx(expected, abs=0.05)


def test_the_standards_own_tone(tmp_path: Path) -> None:
    """BS.1770-4: a 0 dBFS sine of 997 Hz in one channel reads -3.01 LKFS; in two, 0.0."""
    stereo = write_tone(tmp_path / "a.wav", 5, amplitude=0.5, rate_hz=48_000, channels=2)
    found = measure(stereo)
    assert found.integrated_lufs == pytest.approx(20 * math.log10(0.5), abs=0.05)
    assert found.true_peak_dbtp == pytest.approx(20 * math.log10(0.5), abs=0.05)
    # mono is heard from two speakers
    mono = write_tone(tmp_path / "b.wav", 5, amplitude=0.5, rate_hz=48_000)
    assert measure(mono).integrated_lufs == pytest.approx(found.integrated_lufs, abs=0.01)


def test_a_peak_between_samples_is_found(tmp_path: Path) -> None:
    # a quarter of the rate, 45 degrees off: every sample is 3 dB below the peak; 25 s so that blocks join
    rate_hz = 44_100
    wave = 0.5 * np.sin(np.pi / 2 * np.arange(25 * rate_hz) + np.pi / 4)
    soundfile.write(tmp_path / "a.wav", wave, rate_hz, "DOUBLE")
    assert np.abs(wave).max() == pytest.approx(0.5 / math.sqrt(2))
    assert measure(tmp_path / "a.wav").true_peak_dbtp == pytest.approx(20 * math.log10(0.5), abs=0.3)


def test_silence_and_almost_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((8000, 1)), 8000)
    soundfile.write(tmp_path / "b.wav", np.zeros((0, 1)), 8000)
    write_tone(tmp_path / "c.wav", 0.3)
    assert measure(tmp_path / "a.wav") == measure(tmp_path / "b.wav") == Loudness(-math.inf, -math.inf)
    assert measure(tmp_path / "c.wav").integrated_lufs == -math.inf


def test_what_does_not_decode_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"no sound")
    with pytest.raises(IndexFileError, match=r"a\.mp3 does not decode"):
        measure(tmp_path / "a.mp3")


@pytest.mark.parametrize(
    ("lufs", "peak", "gain"),
    [
        (-12.0, -0.5, -6.0),
        (-18.0, -6.0, 0.0),
        (-18.0, 0.5, -1.5),
        (-24.0, -3.0, 2.0),
        (-24.0, -12.0, 6.0),
        (-60.0, -50.0, MOST_GAIN_DB),
        (-math.inf, -math.inf, 0.0),
        (-math.inf, -20.0, 0.0),
    ],
)
def test_gains_by_hand(lufs: float, peak: float, gain: float) -> None:
    assert gain_db(lufs, peak) == pytest.approx(gain)


@given(st.floats(-70, 5), st.floats(-60, 6), st.floats(-30, -10), st.floats(-3, 0))
def test_a_gain_never_breaks_its_promises(lufs: float, peak: float, target: float, ceiling: float) -> None:
    gain = gain_db(lufs, peak, target_lufs=target, ceiling_dbtp=ceiling)
    assert peak + gain <= ceiling + 1e-9
    assert lufs + gain <= target + 1e-9
    assert gain <= MOST_GAIN_DB
    assert any(math.isclose(a, b, abs_tol=1e-9) for a, b in ((peak + gain, ceiling), (lufs + gain, target), (gain, 12)))
