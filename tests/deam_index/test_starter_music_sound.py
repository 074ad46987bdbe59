"""The parts that make sound: tones, envelopes, room and mastering, measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emomusic_edge.deam_index.starter_music import mastering, rendering
from emomusic_edge.deam_index.starter_music.composition import compose
from emomusic_edge.deam_index.starter_music.drum_tones import DRUMS
from emomusic_edge.deam_index.starter_music.held_tones import LOOP_SAMPLES, SECTIONS, WINDS, ensemble_loop, wind
from emomusic_edge.deam_index.starter_music.plan import PIECES
from emomusic_edge.deam_index.starter_music.reverb import impulse_response
from emomusic_edge.deam_index.starter_music.score import Instrument
from emomusic_edge.deam_index.starter_music.struck_tones import SAMPLE_RATE_HZ, STRUCK, Samples, damped, hertz


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def cents_off(wave: Samples, midi: int) -> float:
    """How far the strongest peak within a semitone of a note lies from it."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 19))
    hz = np.fft.rfftfreq(1 << 19, 1.0 / SAMPLE_RATE_HZ)
    near = (hz > hertz(midi - 1)) & (hz < hertz(midi + 1))
    peak = hz[near][np.argmax(spectrum[near])]
    assert spectrum[near].max() > 0.05 * spectrum.max()
    return float(1200.0 * np.log2(peak / hertz(midi)))


@pytest.mark.parametrize("instrument", sorted(STRUCK))
@pytest.mark.parametrize("midi", [45, 60, 76])
def test_struck_tones_are_in_tune_start_from_nothing_and_die_away(instrument: Instrument, midi: int) -> None:
    wave = STRUCK[instrument](midi, 0.6, 5000.0, rng())
    assert wave.dtype == np.float32
    assert np.isfinite(wave).all()
    assert abs(cents_off(wave[: SAMPLE_RATE_HZ // 2], midi)) < 12.0
    peak = np.abs(wave).max()
    assert abs(wave[0]) < 0.02 * peak
    assert np.abs(wave[-2000:]).max() < 0.15 * peak
    assert np.abs(wave[: SAMPLE_RATE_HZ // 10]).max() == pytest.approx(peak, rel=0.2)


@pytest.mark.parametrize("instrument", sorted(set(STRUCK) - {"round_bass"}))
def test_a_harder_touch_is_a_brighter_tone(instrument: Instrument) -> None:
    def centroid(touch: float) -> float:
        wave = STRUCK[instrument](62, touch, 5000.0, rng())[: SAMPLE_RATE_HZ // 2]
        power = np.abs(np.fft.rfft(wave)) ** 2
        return float((power * np.arange(len(power))).sum() / power.sum())

    assert centroid(0.9) > centroid(0.2)


def test_damped_sines_are_those_of_the_formula() -> None:
    t = np.arange(20_000) / SAMPLE_RATE_HZ
    expected = sum(
        a * np.exp(-np.log(1000.0) * t / d) * np.sin(2 * np.pi * f * t)
        for f, a, d in ((220.0, 1.0, 2.0), (1234.5, 0.3, 0.4))
    )
    found = damped([220.0, 1234.5], [1.0, 0.3], [2.0, 0.4], 1.0)[:20_000]
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("instrument", sorted(SECTIONS))
def test_ensembles_are_in_tune_wide_whole_in_mono_and_loop_without_a_seam(instrument: Instrument) -> None:
    loop = ensemble_loop(57, instrument, 4000.0, rng())
    assert loop.shape == (LOOP_SAMPLES, 2)
    assert abs(cents_off(loop[:, 0], 57)) < 25.0
    steps = np.abs(np.diff(loop[:, 0]))
    assert abs(loop[0, 0] - loop[-1, 0]) <= steps.max()
    if instrument != "sub_drone":
        assert 0.2 < np.corrcoef(loop.T)[0, 1] < 0.8


@pytest.mark.parametrize("instrument", sorted(WINDS))
def test_winds_are_in_tune(instrument: Instrument) -> None:
    assert abs(cents_off(wind(69, instrument, 5000.0, rng()), 69)) < 15.0


@pytest.mark.parametrize("instrument", sorted(DRUMS))
def test_drums_are_short_and_end_in_silence(instrument: Instrument) -> None:
    hit = DRUMS[instrument](rng())
    assert 0.05 < len(hit) / SAMPLE_RATE_HZ < 0.6
    assert np.abs(hit[-20:]).max() < 0.03 * np.abs(hit).max()


@given(st.integers(1, 60_000), st.floats(0.0, 1.3), st.floats(0.0, 1.5))
def test_an_envelope_neither_starts_nor_ends_with_a_step(n: int, attack_s: float, release_s: float) -> None:
    shape = rendering._shaped(np.ones(n, dtype=np.float32), attack_s, release_s)
    assert len(shape) == n
    assert shape.min() >= 0.0
    assert shape.max() <= 1.0
    if attack_s >= 0.002 and release_s >= 0.03 and n > 4000:
        assert shape[0] == 0.0
        assert shape[-1] < 1e-6
        assert np.abs(np.diff(shape)).max() < 0.05


@pytest.mark.parametrize("reverb_s", [1.2, 2.5, 3.8])
def test_the_room_decays_in_the_time_asked_for(reverb_s: float) -> None:
    response = impulse_response(reverb_s, rng())
    # Schroeder 1965: the energy still to come is the decay curve; its slope from -5 to -25 dB gives the time for 60
    curve = 10.0 * np.log10(np.cumsum((response[::-1, 0].astype(np.float64)) ** 2)[::-1])
    five, twenty_five = (np.argmax(curve < level) / SAMPLE_RATE_HZ for level in (-5.0, -25.0))
    assert 3.0 * (twenty_five - five) == pytest.approx(reverb_s, rel=0.25)
    assert abs(np.corrcoef(response.T)[0, 1]) < 0.1


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.float32, (3000, 2), elements=st.floats(-8.0, 8.0, width=32)))
def test_the_limiter_lets_nothing_past_the_ceiling(piece: Samples) -> None:
    before = piece.copy()
    mastering._limit(piece)
    assert np.abs(piece).max() <= 10.0 ** (-3.0 / 20.0) + 1e-5
    assert np.all(np.abs(piece) <= np.abs(before) + 1e-6)


def test_one_piece_sounds_the_same_to_the_last_bit_each_time() -> None:
    score = compose(PIECES[6], 1)
    first = rendering.render(score)
    assert first.shape == (rendering.PIECE_SAMPLES, 2)
    assert rendering.checksum(first) == rendering.checksum(rendering.render(score))
