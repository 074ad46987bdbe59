"""Melodies: a motif, its answer and its return, fitted to the chords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .cues import Cues, ModeName
from .harmony import SCALES, Chord
from .score import Note

_PHRASE_BARS = 4
# how far a melody may stray from the middle of its register, in semitones
_AMBITUS = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """One bar of a motif.

    Attributes:
        beats: onsets within the bar.
        steps: how many scale steps each note lies above the phrase's base.
    """

    beats: tuple[float, ...]
    steps: tuple[int, ...]


def write_melody(
    chords: Sequence[Chord],
    tonic: int,
    mode: ModeName,
    cues: Cues,
    first_bar: int,
    bars: int,
    beats_per_bar: int,
    notes_per_bar: float,
    rng: np.random.Generator,
) -> tuple[Note, ...]:
    """A melody in four-bar phrases: motif, answer, motif again (moved to the chord), cadence.

    Args:
        chords: of the whole piece, the ending last.
        tonic: pitch class 0..11.
        mode: the scale.
        cues: register, articulation, dynamics and syncopation are followed.
        first_bar: where it enters; bars before it are introduction.
        bars: of the whole piece before the last chord; the melody's last note falls on that chord.
        beats_per_bar: 3 or 4.
        notes_per_bar: how busy it is, 1..8.
        rng: draws rhythm and contour.

    Returns:
        Notes in time order, none overlapping the next beyond what the articulation cue asks.
    """
    motif = _cell(notes_per_bar, beats_per_bar, cues.syncopation, rng)
    answer = _cell(max(1.0, notes_per_bar * 0.8), beats_per_bar, cues.syncopation, rng)
    other = _cell(notes_per_bar, beats_per_bar, cues.syncopation, rng)
    cadence = Cell(beats=(0.0,) if notes_per_bar < 2.5 else (0.0, 1.0), steps=(0,) if notes_per_bar < 2.5 else (1, 0))
    phrases = ((motif, answer, motif, cadence), (motif, answer, other, cadence), (other, other, motif, cadence))
    order = (0, 1, 2, 0, 1, 2)

    ladder = _ladder(tonic, mode)
    base = _nearest_index(ladder, cues.register_midi - 2)
    placed: list[tuple[float, int, float]] = []
    count = max(1, -(-(bars - first_bar) // _PHRASE_BARS))
    for phrase in range(count):
        cells = phrases[order[phrase % len(order)]]
        # the second of a pair of phrases lies a little higher: the usual arch of a period
        lift = (0, 1, 2, 0)[phrase % 4]
        for bar_in_phrase, cell in enumerate(cells):
            bar = first_bar + phrase * _PHRASE_BARS + bar_in_phrase
            if bar >= bars:
                break
            sequence = (0, 0, 1, 0)[bar_in_phrase]
            for beat, step in zip(cell.beats, cell.steps, strict=True):
                at = bar * beats_per_bar + beat
                wanted = ladder[base + lift + sequence + step]
                midi = _fit(wanted, at, chords, ladder, placed[-1][1] if placed else None, beat % 1.0 == 0.0)
                midi = _within(midi, cues.register_midi)
                swell = 0.05 * np.sin(np.pi * (bar_in_phrase + beat / beats_per_bar) / _PHRASE_BARS)
                placed.append((at, midi, swell + (cues.accent * 0.5 if beat == 0.0 else 0.0)))
    end = float(bars * beats_per_bar)
    final = min((n for n in ladder if n % 12 == tonic), key=lambda n: abs(n - (placed[-1][1] if placed else n)))
    placed.append((end, _within(final, cues.register_midi), 0.0))
    return _with_lengths(placed, cues, beats_per_bar, chords[-1].beats)


def _with_lengths(
    placed: Sequence[tuple[float, int, float]], cues: Cues, beats_per_bar: int, last_beats: float
) -> tuple[Note, ...]:
    notes = []
    for index, (at, midi, extra) in enumerate(placed):
        gap = placed[index + 1][0] - at if index + 1 < len(placed) else last_beats
        # a long gap is a breath between phrases, not one endless note
        is_last = index + 1 == len(placed)
        beats = gap if is_last else min(gap, 0.9 * beats_per_bar) * min(cues.articulation, 1.05)
        notes.append(Note(at, max(beats, 0.12), midi, float(np.clip(cues.velocity + extra, 0.1, 1.0))))
    return tuple(notes)


def _cell(notes: float, beats_per_bar: int, syncopation: float, rng: np.random.Generator) -> Cell:
    grid = 2 if notes <= beats_per_bar * 1.2 else 4
    slots = np.arange(beats_per_bar * grid) / grid
    on_beat = slots % 1.0 == 0.0
    off_beat = (slots % 1.0 == 0.5) & ~on_beat
    weights = np.where(on_beat, 1.0 - 0.7 * syncopation, np.where(off_beat, 0.25 + 1.2 * syncopation, 0.12))
    weights[0] = 0.0
    count = int(np.clip(round(notes + rng.uniform(-0.4, 0.4)), 1, len(slots) * 0.7)) - 1
    chosen: Sequence[int] = (
        rng.choice(len(slots), size=count, replace=False, p=weights / weights.sum()).tolist() if count else []
    )
    beats = tuple(sorted({0.0, *(float(slots[i]) for i in chosen)}))
    step = int(rng.integers(0, 3))
    steps = [step]
    direction = 1 if rng.random() < 0.6 else -1
    for _ in beats[1:]:
        leap = rng.random()
        size = 1 if leap < 0.62 else 2 if leap < 0.88 else 3
        # steps go on in one direction, leaps turn back: what tunes do, and singable
        if size > 1 or rng.random() < 0.3:
            direction = -direction
        if abs(step + direction * size - 1) > 5:
            direction = -direction
        step += direction * size
        steps.append(step)
    return Cell(beats, tuple(steps))


def _ladder(tonic: int, mode: ModeName) -> tuple[int, ...]:
    return tuple(n for n in range(30, 108) if (n - tonic) % 12 in SCALES[mode])


def _nearest_index(ladder: Sequence[int], midi: float) -> int:
    return min(range(len(ladder)), key=lambda i: abs(ladder[i] - midi))


def _fit(
    wanted: int, at: float, chords: Sequence[Chord], ladder: Sequence[int], last: int | None, on_beat: bool
) -> int:
    chord = next((c for c in reversed(chords) if c.beat <= at + 1e-6), chords[0])
    if on_beat:
        allowed = [n for n in ladder if n % 12 in chord.tones or n % 12 in chord.colours[:1]]
    else:
        # between beats any scale note may pass that does not rub a semitone above the chord's own notes
        allowed = [n for n in ladder if n % 12 in chord.tones or (n - 1) % 12 not in chord.tones]
    # a note struck again at once is a stutter unless the line asks for it
    return min(allowed, key=lambda n: abs(n - wanted) + (1.6 if n == last else 0.0))


def _within(midi: int, centre: float) -> int:
    while midi > centre + _AMBITUS:
        midi -= 12
    while midi < centre - _AMBITUS:
        midi += 12
    return midi
