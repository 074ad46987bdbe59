"""Everything under the melody: pads, arpeggios, chords in rhythm, ostinati, basses and percussion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .cues import Cues
from .harmony import Chord
from .score import Note

# Chord rhythms for one bar, as (beat, share of the bar held); 4 and 3 beats.
_CHORD_RHYTHMS: dict[str, dict[int, tuple[tuple[float, float], ...]]] = {
    "whole": {4: ((0.0, 1.0),), 3: ((0.0, 1.0),)},
    "halves": {4: ((0.0, 0.5), (2.0, 0.5)), 3: ((0.0, 0.66), (2.0, 0.33))},
    "charleston": {4: ((0.0, 0.3), (1.5, 0.3)), 3: ((0.0, 0.4), (1.5, 0.4))},
    "offbeat": {4: ((0.5, 0.1), (1.5, 0.1), (2.5, 0.1), (3.5, 0.1)), 3: ((0.5, 0.13), (1.5, 0.13), (2.5, 0.13))},
    "waltz": {4: ((1.0, 0.2), (2.0, 0.2), (3.0, 0.2)), 3: ((1.0, 0.28), (2.0, 0.28))},
    "quarters": {4: tuple((float(b), 0.2) for b in range(4)), 3: tuple((float(b), 0.28) for b in range(3))},
    "push": {4: ((0.0, 0.2), (1.5, 0.2), (2.5, 0.1), (3.0, 0.2)), 3: ((0.0, 0.3), (1.5, 0.2), (2.0, 0.2))},
}

# Bass rhythms for one bar, as (beat, share of the bar held, which chord tone: 0 root, 2 fifth, 3 octave).
_BASS_RHYTHMS: dict[str, dict[int, tuple[tuple[float, float, int], ...]]] = {
    "whole": {4: ((0.0, 1.0, 0),), 3: ((0.0, 1.0, 0),)},
    "one_three": {4: ((0.0, 0.42, 0), (2.0, 0.42, 2)), 3: ((0.0, 0.9, 0),)},
    "waltz": {4: ((0.0, 0.7, 0), (3.0, 0.22, 2)), 3: ((0.0, 0.6, 0), (2.0, 0.3, 2))},
    "skip": {4: ((0.0, 0.3, 0), (1.5, 0.12, 0), (2.0, 0.3, 2), (3.5, 0.12, 3)), 3: ((0.0, 0.4, 0), (1.5, 0.3, 2))},
    "pulse": {
        4: tuple((b / 2, 0.1, 3 if b == 7 else 0) for b in range(8)),
        3: tuple((b / 2, 0.13, 0) for b in range(6)),
    },
    "quarters": {
        4: ((0.0, 0.22, 0), (1.0, 0.22, 0), (2.0, 0.22, 2), (3.0, 0.22, 3)),
        3: ((0.0, 0.3, 0), (1.0, 0.3, 2), (2.0, 0.3, 3)),
    },
}

_ARPEGGIO_ORDERS: dict[str, tuple[int, ...]] = {
    "up": (0, 1, 2, 3, 4, 5),
    "up_down": (0, 1, 2, 3, 4, 3, 2, 1),
    "broken": (0, 2, 1, 3, 2, 4, 3, 1),
    "alberti": (0, 2, 1, 2),
    "harp": (0, 1, 2, 4, 3, 5, 4, 2),
}

# Figures of a low ostinato: eighths as steps over the chord's own tones and neighbours, -1 a rest.
_OSTINATI: dict[str, tuple[int, ...]] = {
    "three_three_two": (0, 0, 1, 0, 0, 1, 0, 2),
    "rocking": (0, 1, 2, 1, 0, 1, 2, 1),
    "stalking": (0, -1, 0, 0, -1, 0, 1, -1),
    "driving": (0, 0, 0, 1, 0, 0, 2, 1),
}

# Percussion for one bar of eighths: velocities 0..9, for 4 and 3 beats.
_DRUMS: dict[str, dict[str, dict[int, str]]] = {
    "light": {
        "shaker": {4: "52524252", 3: "524252"},
        "kick": {4: "70006000", 3: "700000"},
        "rim": {4: "00005000", 3: "000040"},
    },
    "dance": {
        "shaker": {4: "63636373", 3: "636363"},
        "kick": {4: "80040800", 3: "800040"},
        "brush": {4: "00700072", 3: "007070"},
        "rim": {4: "00300400", 3: "030003"},
    },
    "brushes": {
        "brush": {4: "40634064", 3: "406060"},
        "kick": {4: "60005000", 3: "600000"},
    },
    "heartbeat": {"tom": {4: "74000000", 3: "740000"}, "kick": {4: "60000000", 3: "600000"}},
    "march": {
        "tom": {4: "80050560", 3: "800560"},
        "kick": {4: "80008000", 3: "800000"},
        "shaker": {4: "30303030", 3: "303030"},
    },
    "drive": {
        "kick": {4: "80408040", 3: "804040"},
        "shaker": {4: "65656565", 3: "656565"},
        "brush": {4: "00700070", 3: "007000"},
        "tom": {4: "00000506", 3: "000056"},
    },
}


def pad(chords: Sequence[Chord], cues: Cues, _beats_per_bar: int, _rng: np.random.Generator) -> tuple[Note, ...]:
    """Held chords; a note that the next chord keeps is held on rather than struck again."""
    notes: list[Note] = []
    held: dict[int, tuple[float, float]] = {}
    for chord in chords:
        for midi in [m for m in held if m not in chord.voicing]:
            start, end = held.pop(midi)
            notes.append(Note(start, end - start, midi, cues.velocity))
        for midi in chord.voicing:
            start, _ = held.get(midi, (chord.beat, 0.0))
            held[midi] = (start, chord.beat + chord.beats)
    notes.extend(Note(start, end - start, midi, cues.velocity) for midi, (start, end) in held.items())
    return tuple(sorted(notes, key=lambda n: (n.beat, n.midi)))


def chord_rhythm(name: str) -> Callable[[Sequence[Chord], Cues, int, np.random.Generator], tuple[Note, ...]]:
    """A writer of chords in one of the named rhythms."""

    def write(chords: Sequence[Chord], cues: Cues, beats_per_bar: int, rng: np.random.Generator) -> tuple[Note, ...]:
        notes: list[Note] = []
        for chord, bar in _bars(chords, beats_per_bar):
            for beat, share in _CHORD_RHYTHMS[name][beats_per_bar]:
                held = max(0.15, share * beats_per_bar * min(1.0, cues.articulation + 0.15))
                hit = cues.velocity + (cues.accent * 0.5 if beat == 0.0 else 0.0) + rng.uniform(-0.03, 0.03)
                notes.extend(Note(bar + beat, held, midi, _touch(hit)) for midi in chord.voicing)
        notes.extend(_ending(chords[-1], cues))
        return tuple(notes)

    return write


def arpeggio(
    order: str, notes_per_beat: float
) -> Callable[[Sequence[Chord], Cues, int, np.random.Generator], tuple[Note, ...]]:
    """A writer of broken chords in one of the named orders."""
    pattern = _ARPEGGIO_ORDERS[order]

    def write(chords: Sequence[Chord], cues: Cues, beats_per_bar: int, rng: np.random.Generator) -> tuple[Note, ...]:
        notes: list[Note] = []
        step = 1.0 / notes_per_beat
        for chord, bar in _bars(chords, beats_per_bar):
            reach = _two_octaves(chord)
            for index in range(max(1, round(beats_per_bar / step))):
                midi = reach[pattern[index % len(pattern)] % len(reach)]
                hit = cues.velocity - 0.08 + (cues.accent if index == 0 else 0.0) + rng.uniform(-0.05, 0.05)
                # strings and bars ring on into each other, as on a harp, unless the music is staccato
                notes.append(Note(bar + index * step, step * (2.2 * cues.articulation), midi, _touch(hit)))
        notes.extend(_ending(chords[-1], cues))
        return tuple(notes)

    return write


def ostinato(figure: str) -> Callable[[Sequence[Chord], Cues, int, np.random.Generator], tuple[Note, ...]]:
    """A writer of a low repeated figure in eighths that follows the chords."""
    steps = _OSTINATI[figure]

    def write(chords: Sequence[Chord], cues: Cues, beats_per_bar: int, rng: np.random.Generator) -> tuple[Note, ...]:
        notes: list[Note] = []
        for chord, bar in _bars(chords, beats_per_bar):
            root = chord.bass + 12
            third = root + (chord.tones[1] - chord.root) % 12
            fifth = root + (chord.tones[2] - chord.root) % 12
            rub = root + (chord.colours[0] - chord.root) % 12 if chord.colours else fifth
            tones = (root, fifth, rub if cues.dissonance > 0.5 else third)
            for index in range(beats_per_bar * 2):
                step = steps[index % len(steps)]
                if step < 0:
                    continue
                strong = index in (0, 3, 6) if figure == "three_three_two" else index % 4 == 0
                hit = cues.velocity - 0.05 + (cues.accent if strong else 0.0) + rng.uniform(-0.03, 0.03)
                notes.append(Note(bar + index / 2, 0.5 * cues.articulation, tones[step], _touch(hit)))
        return tuple(notes)

    return write


def bass(name: str) -> Callable[[Sequence[Chord], Cues, int, np.random.Generator], tuple[Note, ...]]:
    """A writer of a bass line in one of the named rhythms."""

    def write(chords: Sequence[Chord], cues: Cues, beats_per_bar: int, rng: np.random.Generator) -> tuple[Note, ...]:
        notes: list[Note] = []
        for chord, bar in _bars(chords, beats_per_bar):
            fifth = chord.bass + (chord.tones[2] - chord.root) % 12
            pitches = {0: chord.bass, 2: fifth if fifth <= 47 else fifth - 12, 3: chord.bass + 12}
            for beat, share, tone in _BASS_RHYTHMS[name][beats_per_bar]:
                hit = cues.velocity + (cues.accent if beat == 0.0 else 0.0) + rng.uniform(-0.03, 0.03)
                held = max(0.2, share * beats_per_bar * min(1.0, cues.articulation + 0.2))
                notes.append(Note(bar + beat, held, pitches[tone], _touch(hit)))
        last = chords[-1]
        notes.append(Note(last.beat, last.beats, last.bass, _touch(cues.velocity)))
        return tuple(notes)

    return write


def drum_parts(name: str, beats_per_bar: int, bars: int, cues: Cues, rng: np.random.Generator) -> dict[str, list[Note]]:
    """The notes of each drum of a named pattern; the fuller the percussion cue, the harder and the busier.

    The first bar is left to the other instruments; a quiet kit (cue under a half) leaves out its weakest strokes.
    """
    parts: dict[str, list[Note]] = {}
    weakest = 4 if cues.percussion < 0.5 else 1
    for drum, rows in _DRUMS[name].items():
        notes = []
        for bar in range(1, bars):
            for index, digit in enumerate(rows[beats_per_bar]):
                if int(digit) < weakest:
                    continue
                hit = int(digit) / 9 * (0.35 + 0.65 * cues.percussion) * cues.velocity * rng.uniform(0.9, 1.1)
                notes.append(Note(bar * beats_per_bar + index / 2, 0.25, 60, _touch(float(hit))))
        if notes:
            parts[drum] = notes
    return parts


def _bars(chords: Sequence[Chord], beats_per_bar: int) -> list[tuple[Chord, float]]:
    # the last chord is the ending and is written apart
    return [
        (chord, chord.beat + offset)
        for chord in chords[:-1]
        for offset in np.arange(0.0, chord.beats, beats_per_bar).tolist()
    ]


def _ending(chord: Chord, cues: Cues) -> list[Note]:
    # rolled upwards, as a hand would close a piece
    return [
        Note(chord.beat + 0.12 * index, chord.beats, midi, _touch(cues.velocity - 0.1))
        for index, midi in enumerate(chord.voicing)
    ]


def _two_octaves(chord: Chord) -> list[int]:
    notes = list(chord.voicing)
    for midi in chord.voicing:
        if midi + 12 not in notes and (midi + 12) % 12 in chord.tones:
            notes.append(midi + 12)
    return sorted(notes)[:7]


def _touch(velocity: float) -> float:
    return float(min(max(velocity, 0.08), 1.0))
