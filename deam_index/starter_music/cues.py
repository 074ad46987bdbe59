"""What affect asks of the music: each musical cue as a bounded function of valence and arousal.

The directions follow published findings; the sizes are this package's own, chosen so that the cues span ordinary
musical ranges over DEAM's populated region. Cues are linear in affect (in octaves where hearing is logarithmic) and
add up, as Eerola, Friberg & Bresin found them to.

- [G&L] Gabrielsson & Lindström, "The role of structure in the musical expression of emotions", in Juslin & Sloboda
  (eds.), Handbook of Music and Emotion, Oxford 2010 (first in 2001): a review, factor by factor.
- [J&L] Juslin & Laukka, "Expression, perception, and induction of musical emotions", Journal of New Music Research
  33(3), 2004: cue patterns for happiness, sadness, anger, fear and tenderness.
- [EFB] Eerola, Friberg & Bresin, "Emotional expression in music: contribution, linearity, and additivity of primary
  musical cues", Frontiers in Psychology 4:487, 2013: mode weighs most, then tempo, register, dynamics, articulation,
  timbre.
- [I&T] Ilie & Thompson, "A comparison of acoustic cues in music and speech for three dimensions of affect", Music
  Perception 23(4), 2006: fast and loud music has more energy and tension; they found lower pitch more pleasant, G&L's
  review mostly the reverse, so register leans on valence only a little here.
- [T&T] Temperley & Tan, "Emotional connotations of diatonic modes", Music Perception 30(3), 2013: happiness falls from
  Ionian over Mixolydian, Dorian and Aeolian to Phrygian.

Loudness is among the strongest cues, yet every file has the same integrated loudness: a home should not jump in level.
It lives on as dynamics instead: how hard notes are struck (which in these instruments changes their timbre) and how
deep accents are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emomusic_edge.affect import DEAM
from emomusic_edge.contracts import ValenceArousal

ModeName = Literal["ionian", "mixolydian", "dorian", "aeolian", "phrygian"]

MODES_FROM_HAPPIEST: tuple[ModeName, ...] = ("ionian", "mixolydian", "dorian", "aeolian", "phrygian")
"""T&T's order; Lydian is left out, since listeners split over it."""

# lower bounds of valence (in DEAM standard deviations) of all modes but the last
_MODE_BOUNDS = (0.45, 0.0, -0.6, -1.4)


@dataclass(frozen=True, slots=True)
class Cues:
    """What one piece is asked to be.

    Attributes:
        tempo_bpm: beats per minute, 52..148.
        mode: the scale.
        register_midi: the middle of the melody, MIDI note number, 59..79.
        articulation: the share of the way to the next note that a note sounds, 0.4 (staccato)..1.15 (overlapping).
        velocity: how hard notes are struck, 0.28..0.9.
        accent: how much harder accented notes are struck, 0.02..0.3.
        brightness_hz: where the upper partials are rolled off, 2000..9000.
        onsets_per_s: note onsets of melody and accompaniment together, 1.2..5.5.
        dissonance: 0 (plain triads)..1 (semitone clusters).
        attack_s: of sustained sounds, 0.06..1.2.
        percussion: 0 (none)..1 (a full, still soft, kit).
        syncopation: the share of notes off the beat, 0..0.6.
        reverb_s: the time in which the room's sound falls by 60 dB, 1.2..3.8.
    """

    tempo_bpm: float
    mode: ModeName
    register_midi: float
    articulation: float
    velocity: float
    accent: float
    brightness_hz: float
    onsets_per_s: float
    dissonance: float
    attack_s: float
    percussion: float
    syncopation: float
    reverb_s: float


def standardised(affect: ValenceArousal) -> tuple[float, float]:
    """Valence and arousal in standard deviations of DEAM from its mean, from a point in DEAM units (-1..1)."""
    return (
        (affect.valence - DEAM.mean.valence) / DEAM.sd.valence,
        (affect.arousal - DEAM.mean.arousal) / DEAM.sd.arousal,
    )


def tempo_bpm(affect: ValenceArousal) -> float:
    """Faster with arousal, the firmest finding of all, and a little with valence [G&L, J&L, EFB, I&T]."""
    valence, arousal = standardised(affect)
    return _bounded(84.0 * 2.0 ** (0.30 * arousal + 0.05 * valence), 52.0, 148.0)


def mode(affect: ValenceArousal) -> ModeName:
    """Happier modes with valence [T&T]; major or minor weighs most in valence [EFB, G&L]."""
    valence, _ = standardised(affect)
    for name, bound in zip(MODES_FROM_HAPPIEST, _MODE_BOUNDS, strict=False):
        if valence >= bound:
            return name
    return MODES_FROM_HAPPIEST[-1]


def register_midi(affect: ValenceArousal) -> float:
    """Higher with arousal and with happiness, lower in sadness and threat [G&L, J&L, EFB; against: I&T]."""
    valence, arousal = standardised(affect)
    return _bounded(69.0 + 2.2 * valence + 2.0 * arousal, 59.0, 79.0)


def articulation(affect: ValenceArousal) -> float:
    """Staccato in activity (joy, anger, fear), legato in calm (sadness, tenderness) [J&L, G&L]."""
    _, arousal = standardised(affect)
    return _bounded(0.82 - 0.18 * arousal, 0.4, 1.15)


def velocity(affect: ValenceArousal) -> float:
    """Louder playing with arousal [G&L, J&L, I&T]; as strength of touch, not as level (see the module)."""
    _, arousal = standardised(affect)
    return _bounded(0.58 + 0.13 * arousal, 0.28, 0.9)


def accent(affect: ValenceArousal) -> float:
    """Deeper accents with arousal; small variation of loudness goes with calm [G&L, J&L]."""
    _, arousal = standardised(affect)
    return _bounded(0.13 + 0.07 * arousal, 0.02, 0.3)


def brightness_hz(affect: ValenceArousal) -> float:
    """More upper partials with activity and anger, fewer with tenderness and sadness [G&L, J&L]."""
    _, arousal = standardised(affect)
    return _bounded(4200.0 * 2.0 ** (0.42 * arousal), 2000.0, 9000.0)


def onsets_per_s(affect: ValenceArousal) -> float:
    """More notes in a second with arousal; rhythmic activity goes with tempo in all the reviews [G&L]."""
    _, arousal = standardised(affect)
    return _bounded(2.6 * 2.0 ** (0.42 * arousal), 1.2, 5.5)


def dissonance(affect: ValenceArousal) -> float:
    """Consonant and simple when happy, serene or tender; dissonant when tense, angry or afraid [G&L]."""
    valence, arousal = standardised(affect)
    return _bounded(0.28 - 0.18 * valence + 0.08 * arousal, 0.0, 1.0)


def attack_s(affect: ValenceArousal) -> float:
    """Slow tone attacks in sadness and tenderness, fast ones in activity [J&L, G&L]."""
    _, arousal = standardised(affect)
    return _bounded(0.32 * 2.0 ** (-0.9 * arousal), 0.06, 1.2)


def percussion(affect: ValenceArousal) -> float:
    """A clear, accented pulse with arousal: rhythm that is firm and distinct goes with activity [G&L]."""
    _, arousal = standardised(affect)
    return _bounded(0.2 + 0.4 * arousal, 0.0, 1.0)


def syncopation(affect: ValenceArousal) -> float:
    """More off-beat notes with happiness and arousal.

    Keller & Schubert, "Cognitive and affective judgements of syncopated musical themes", Advances in Cognitive
    Psychology 7, 2011: syncopated themes are heard as happier, and as more arousing after plain ones.
    """
    valence, arousal = standardised(affect)
    return _bounded(0.16 + 0.11 * arousal + 0.05 * valence, 0.0, 0.6)


def reverb_s(affect: ValenceArousal) -> float:
    """A larger room for calm music: a studio habit that lets slow notes join; no finding is claimed."""
    _, arousal = standardised(affect)
    return _bounded(2.5 - 0.55 * arousal, 1.2, 3.8)


def cues_for(affect: ValenceArousal) -> Cues:
    """All cues for a point in DEAM units (-1..1)."""
    return Cues(
        tempo_bpm=tempo_bpm(affect),
        mode=mode(affect),
        register_midi=register_midi(affect),
        articulation=articulation(affect),
        velocity=velocity(affect),
        accent=accent(affect),
        brightness_hz=brightness_hz(affect),
        onsets_per_s=onsets_per_s(affect),
        dissonance=dissonance(affect),
        attack_s=attack_s(affect),
        percussion=percussion(affect),
        syncopation=syncopation(affect),
        reverb_s=reverb_s(affect),
    )


def _bounded(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
