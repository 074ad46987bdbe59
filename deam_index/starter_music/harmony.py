"""Scales, chord progressions and voice leading."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .cues import ModeName

SCALES: dict[ModeName, tuple[int, ...]] = {
    "ionian": (0, 2, 4, 5, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "aeolian": (0, 2, 3, 5, 7, 8, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}
"""Semitones above the tonic."""

# Four chords each, as scale degrees counted from 0. Every one starts on the tonic, so that a listener who enters at
# any phrase knows where home is, and shows what is special to its mode.
PROGRESSIONS: dict[ModeName, tuple[tuple[int, ...], ...]] = {
    "ionian": (
        (0, 3, 0, 4),
        (0, 4, 5, 3),
        (0, 5, 3, 4),
        (0, 2, 3, 4),
        (0, 3, 5, 4),
        (0, 1, 3, 0),
        (0, 4, 3, 3),
        (0, 3, 1, 4),
    ),
    "mixolydian": ((0, 6, 3, 0), (0, 3, 6, 0), (0, 4, 3, 6), (0, 6, 0, 3), (0, 1, 3, 6)),
    "dorian": ((0, 3, 0, 6), (0, 2, 3, 0), (0, 6, 3, 4), (0, 3, 2, 6), (0, 1, 0, 3)),
    "aeolian": ((0, 5, 2, 6), (0, 3, 5, 4), (0, 6, 5, 6), (0, 5, 3, 4), (0, 2, 5, 3), (0, 4, 5, 3)),
    "phrygian": ((0, 1, 0, 6), (0, 1, 2, 1), (0, 5, 1, 0), (0, 3, 1, 0), (0, 6, 1, 1)),
}

# the lowest chord note and the span that a voicing of four to five notes may take
_VOICING_LOW = 48
_VOICING_HIGH = 74
# below this, notes closer than a minor third are a growl rather than a chord
_MUDDY_BELOW = 55


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord with its place in time.

    Attributes:
        beat, beats: when it starts and how long it lasts.
        degree: its root's scale degree, 0..6.
        root: the root's pitch class, 0..11.
        tones: the triad's pitch classes, root first.
        colours: pitch classes added to the triad.
        voicing: the notes it is played with, ascending MIDI numbers.
        bass: the bass note, MIDI.
    """

    beat: float
    beats: float
    degree: int
    root: int
    tones: tuple[int, ...]
    colours: tuple[int, ...]
    voicing: tuple[int, ...]
    bass: int


def pitch_class(tonic: int, mode: ModeName, degree: int) -> int:
    """The pitch class (0..11) of a scale degree (any integer, counted from 0)."""
    return (tonic + SCALES[mode][degree % 7]) % 12


def colours_for(tonic: int, mode: ModeName, degree: int, dissonance: float) -> tuple[int, ...]:
    """What is added to a triad, from nothing over a ninth or seventh to a semitone rub.

    Ninths are added only where they lie a whole tone above the root: a minor ninth would be a rub nobody asked for.
    """
    root = pitch_class(tonic, mode, degree)
    ninth = pitch_class(tonic, mode, degree + 1)
    seventh = pitch_class(tonic, mode, degree + 6)
    has_soft_ninth = (ninth - root) % 12 == 2
    if dissonance < 0.08:
        return ()
    if dissonance < 0.35:
        return (ninth,) if has_soft_ninth else ()
    if dissonance < 0.6:
        return (seventh, ninth) if has_soft_ninth and dissonance > 0.48 else (seventh,)
    fifth = pitch_class(tonic, mode, degree + 4)
    for neighbour in (pitch_class(tonic, mode, degree + 5), ninth):
        if (neighbour - fifth) % 12 == 1 or (neighbour - root) % 12 == 1:
            return (neighbour,)
    return (seventh,)


def voice(pitch_classes: Sequence[int], previous: Sequence[int], centre: float) -> tuple[int, ...]:
    """The voicing of all pitch classes that moves least from the previous one.

    Args:
        pitch_classes: three to five, all different.
        previous: the last chord's voicing; empty at the start.
        centre: the MIDI number about which voicings should stay, so that they do not wander.

    Returns:
        Ascending MIDI numbers, one for each pitch class.
    """
    options = [[n for n in range(_VOICING_LOW, _VOICING_HIGH + 1) if n % 12 == pc] for pc in pitch_classes]
    best: tuple[float, tuple[int, ...]] | None = None
    for choice in itertools.product(*options):
        notes = tuple(sorted(choice))
        cost = _spread_cost(notes) + 0.6 * abs(sum(notes) / len(notes) - centre)
        if previous:
            cost += sum(min(abs(note - other) for other in previous) for note in notes)
            cost += sum(min(abs(note - other) for other in notes) for note in previous)
        if best is None or cost < best[0]:
            best = (cost, notes)
    assert best is not None
    return best[1]


def _spread_cost(notes: Sequence[int]) -> float:
    cost = 0.0
    for low, high in itertools.pairwise(notes):
        gap = high - low
        if low < _MUDDY_BELOW and gap < 3:
            cost += 12.0
        if gap == 1:
            cost += 3.0
        if gap > 9:
            cost += 1.5 * (gap - 9)
    # a semitone clash as the top pair is the harshest place for one
    if len(notes) > 1 and notes[-1] - notes[-2] == 1:
        cost += 8.0
    return cost


def write_chords(
    tonic: int,
    mode: ModeName,
    degrees: Sequence[int],
    beats_each: float,
    last_beats: float,
    dissonance: float,
    centre: float,
    rng: np.random.Generator,
) -> tuple[Chord, ...]:
    """Voice a line of scale degrees as chords, one after the other.

    Args:
        tonic: pitch class 0..11.
        mode: the scale.
        degrees: the roots; the last chord is always a plain tonic-like ending (no rub, dissonance at most 0.3).
        beats_each: the length of every chord but the last.
        last_beats: the length of the last.
        dissonance: 0..1, varied a little from chord to chord.
        centre: about which MIDI number the voicings lie.
        rng: draws that variation.
    """
    chords: list[Chord] = []
    previous: tuple[int, ...] = ()
    bass = 40
    for index, degree in enumerate(degrees):
        is_last = index == len(degrees) - 1
        amount = min(dissonance, 0.3) if is_last else dissonance + float(rng.uniform(-0.12, 0.08))
        tones = tuple(pitch_class(tonic, mode, degree + step) for step in (0, 2, 4))
        colours = colours_for(tonic, mode, degree, amount)
        previous = voice((*tones, *colours), previous, centre)
        bass = _near_bass(tones[0], bass)
        beats = last_beats if is_last else beats_each
        chords.append(Chord(index * beats_each, beats, degree, tones[0], tones, colours, previous, bass))
    return tuple(chords)


def _near_bass(root: int, previous: int) -> int:
    # A1 to C3: lower than that a small loudspeaker is silent, higher is no bass
    candidates = [n for n in range(33, 49) if n % 12 == root]
    return min(candidates, key=lambda n: (abs(n - previous), n))
