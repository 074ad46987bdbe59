"""The cues move in the published directions, and stay within musical bounds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.deam_index.starter_music import cues
from emomusic_edge.deam_index.starter_music.cues import MODES_FROM_HAPPIEST, cues_for

AXIS = st.floats(-1.0, 1.0, allow_nan=False)
Cue = Callable[[ValenceArousal], float]

WITH_AROUSAL: dict[str, tuple[Cue, int]] = {
    "tempo": (cues.tempo_bpm, 1),
    "register": (cues.register_midi, 1),
    "articulation (legato)": (cues.articulation, -1),
    "velocity": (cues.velocity, 1),
    "accent": (cues.accent, 1),
    "brightness": (cues.brightness_hz, 1),
    "density": (cues.onsets_per_s, 1),
    "attack": (cues.attack_s, -1),
    "percussion": (cues.percussion, 1),
    "syncopation": (cues.syncopation, 1),
    "room": (cues.reverb_s, -1),
    "dissonance": (cues.dissonance, 1),
}
WITH_VALENCE: dict[str, tuple[Cue, int]] = {
    "tempo": (cues.tempo_bpm, 1),
    "mode (steps down from Ionian)": (lambda affect: float(MODES_FROM_HAPPIEST.index(cues.mode(affect))), -1),
    "register": (cues.register_midi, 1),
    "dissonance": (cues.dissonance, -1),
    "syncopation": (cues.syncopation, 1),
}
BOUNDS: dict[str, tuple[float, float]] = {
    "tempo_bpm": (52.0, 148.0),
    "register_midi": (59.0, 79.0),
    "articulation": (0.4, 1.15),
    "velocity": (0.28, 0.9),
    "accent": (0.02, 0.3),
    "brightness_hz": (2000.0, 9000.0),
    "onsets_per_s": (1.2, 5.5),
    "dissonance": (0.0, 1.0),
    "attack_s": (0.06, 1.2),
    "percussion": (0.0, 1.0),
    "syncopation": (0.0, 0.6),
    "reverb_s": (1.2, 3.8),
}


@pytest.mark.parametrize("name", WITH_AROUSAL)
@given(valence=AXIS, low=AXIS, high=AXIS)
def test_a_cue_never_turns_back_along_arousal(name: str, valence: float, low: float, high: float) -> None:
    cue, direction = WITH_AROUSAL[name]
    low, high = sorted((low, high))
    assert direction * (cue(ValenceArousal(valence, high)) - cue(ValenceArousal(valence, low))) >= 0.0


@pytest.mark.parametrize("name", WITH_VALENCE)
@given(arousal=AXIS, low=AXIS, high=AXIS)
def test_a_cue_never_turns_back_along_valence(name: str, arousal: float, low: float, high: float) -> None:
    cue, direction = WITH_VALENCE[name]
    low, high = sorted((low, high))
    assert direction * (cue(ValenceArousal(high, arousal)) - cue(ValenceArousal(low, arousal))) >= 0.0


@pytest.mark.parametrize("name", WITH_AROUSAL)
def test_a_cue_truly_moves_over_the_middle_of_arousal(name: str) -> None:
    cue, direction = WITH_AROUSAL[name]
    assert direction * (cue(ValenceArousal(0.0, 0.35)) - cue(ValenceArousal(0.0, -0.15))) > 0.0


@pytest.mark.parametrize("name", WITH_VALENCE)
def test_a_cue_truly_moves_over_the_middle_of_valence(name: str) -> None:
    cue, direction = WITH_VALENCE[name]
    assert direction * (cue(ValenceArousal(0.3, 0.2)) - cue(ValenceArousal(-0.15, 0.2))) > 0.0


@given(valence=AXIS, arousal=AXIS)
def test_every_cue_stays_within_its_documented_bounds(valence: float, arousal: float) -> None:
    asked = cues_for(ValenceArousal(valence, arousal))
    for name, (low, high) in BOUNDS.items():
        assert low <= getattr(asked, name) <= high, name


def test_positive_music_is_major_and_negative_music_minor_about_the_mean_of_deam() -> None:
    assert cues.mode(ValenceArousal(0.09, 0.0)) in ("ionian", "mixolydian")
    assert cues.mode(ValenceArousal(0.06, 0.0)) in ("dorian", "aeolian", "phrygian")
