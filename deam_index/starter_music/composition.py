"""From a piece of the plan to its score: form, harmony and the parts; pure and seeded by the piece's number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np

from . import accompaniment
from .cues import Cues, cues_for
from .ensembles import ENSEMBLES, Voice
from .harmony import PROGRESSIONS, Chord, write_chords
from .melody import write_melody
from .plan import PIECE_S, Piece
from .score import Instrument, Note, Part, Score

# The last chord comes between these seconds and rings until the end of the file.
_LAST_CHORD_S = (40.0, 42.0)
# Chords that change faster than this turn harmony into figuration.
_SHORTEST_CHORD_S = 1.9
# The chord before the last, as a scale degree: the one that leads home in each mode.
_LEADING_DEGREE = {"ionian": 4, "mixolydian": 6, "dorian": 6, "aeolian": 4, "phrygian": 1}
_ARPEGGIO_RATES = (0.5, 1.0, 2.0, 3.0, 4.0)


def compose(piece: Piece, version: int) -> Score:
    """Write a piece: the same notes for the same piece and version, always.

    Args:
        piece: what to write.
        version: of the whole set; it goes into the seed, so that a new version is a new set.
    """
    seed = (version, piece.number)
    rng = np.random.default_rng(seed)
    cues = cues_for(piece.affect)
    ensemble = ENSEMBLES[piece.ensemble]
    beats_per_bar = piece.beats_per_bar
    tempo, bars, bars_per_chord = _form(cues.tempo_bpm, beats_per_bar)
    bar_s = beats_per_bar * 60.0 / tempo

    degrees = _degrees(piece, cues, bars // bars_per_chord)
    chords = write_chords(
        piece.tonic,
        cues.mode,
        degrees,
        float(beats_per_bar * bars_per_chord),
        PIECE_S * tempo / 60.0 - bars * beats_per_bar,
        cues.dissonance,
        min(max(cues.register_midi - 8.0, 56.0), 65.0),
        rng,
    )
    introduction = _introduction(bars, bar_s)
    melody = write_melody(
        chords,
        piece.tonic,
        cues.mode,
        cues,
        introduction,
        bars,
        beats_per_bar,
        float(np.clip(ensemble.melody_share * cues.onsets_per_s * bar_s, 1.0, beats_per_bar * 2)),
        rng,
    )
    arpeggio_rate = _nearest_rate(cues.onsets_per_s * 60.0 / tempo)
    parts = [
        Part(
            voice.instrument,
            voice.role,
            _notes(voice, chords, melody, cues, beats_per_bar, arpeggio_rate, rng),
            voice.trim_db,
            voice.pan,
            voice.room,
            voice.echo,
        )
        for voice in ensemble.voices
    ]
    if ensemble.drums and cues.percussion > 0.0:
        parts.extend(_drums(ensemble.drums, beats_per_bar, bars, cues, rng))
    return Score(seed, piece.tonic, cues.mode, tempo, beats_per_bar, bars, cues, tuple(parts))


def onset_density(score: Score) -> float:
    """Distinct note onsets in a second, over all parts, up to the last chord; onsets closer than 30 ms are one."""
    last = score.bars * score.beats_per_bar
    onsets = np.unique(
        [round(n.beat * 60.0 / score.tempo_bpm, 4) for p in score.parts for n in p.notes if n.beat < last]
    )
    distinct = 1 + int((np.diff(onsets) > 0.03).sum())
    return distinct / (last * 60.0 / score.tempo_bpm)


def _form(tempo_bpm: float, beats_per_bar: int) -> tuple[float, int, int]:
    """Tempo, bars before the last chord, and bars for each chord."""
    bar_s = beats_per_bar * 60.0 / tempo_bpm
    bars_per_chord = 1 if bar_s >= _SHORTEST_CHORD_S else 2
    low, high = _LAST_CHORD_S
    unit_s = bar_s * bars_per_chord
    units = round((low + high) / 2 / unit_s)
    fitted = min(max(units * unit_s, low), high)
    return tempo_bpm * units * unit_s / fitted, units * bars_per_chord, bars_per_chord


def _introduction(bars: int, bar_s: float) -> int:
    """Bars before the melody enters: what four-bar phrases leave over, and no more than about eight seconds."""
    bars_over = bars % 4
    if bars_over == 0:
        return 4 if bar_s < 2.2 else 0
    return bars_over if bars_over * bar_s <= 8.0 else bars_over - 2


def _degrees(piece: Piece, cues: Cues, count: int) -> list[int]:
    """The roots of `count` chords and of the last one: an introduction, then the progressions as A A B A."""
    options = PROGRESSIONS[cues.mode]
    first = options[piece.progressions[0] % len(options)]
    second = options[piece.progressions[1] % len(options)]
    extra = count % 4
    degrees = list(first[:extra])
    order = (first, second) if count < 12 else (first, first, second)
    for phrase in range(count // 4):
        degrees.extend(order[phrase % len(order)])
    degrees[-1] = _LEADING_DEGREE[cues.mode]
    return [*degrees, 0]


def _nearest_rate(notes_per_beat: float) -> float:
    return min(_ARPEGGIO_RATES, key=lambda rate: abs(float(np.log2(rate / notes_per_beat))))


def _notes(
    voice: Voice,
    chords: Sequence[Chord],
    melody: tuple[Note, ...],
    cues: Cues,
    beats_per_bar: int,
    arpeggio_rate: float,
    rng: np.random.Generator,
) -> tuple[Note, ...]:
    kind, _, pattern = voice.writer.partition(":")
    if kind == "melody":
        return melody
    if kind == "drone":
        return _drone(voice, chords, cues)
    if kind == "pad":
        return accompaniment.pad(chords, cues, beats_per_bar, rng)
    if kind == "chords":
        return accompaniment.chord_rhythm(pattern)(chords, cues, beats_per_bar, rng)
    if kind == "arpeggio":
        return accompaniment.arpeggio(pattern, arpeggio_rate)(chords, cues, beats_per_bar, rng)
    if kind == "ostinato":
        return accompaniment.ostinato(pattern)(chords, cues, beats_per_bar, rng)
    if kind == "bass":
        return accompaniment.bass(pattern)(chords, cues, beats_per_bar, rng)
    raise ValueError(f"voice {voice.instrument} has writer {voice.writer!r}: an unknown kind")


def _drone(voice: Voice, chords: Sequence[Chord], cues: Cues) -> tuple[Note, ...]:
    """The tonic (in the bass) or tonic and fifth (above it) under everything, struck anew every four chords."""
    tonic = chords[-1].bass
    pitches = (tonic,) if voice.role == "bass" else (tonic + 12, tonic + 19)
    end = chords[-1].beat + chords[-1].beats
    starts = [chord.beat for chord in chords[:-1:4]]
    stops = [*starts[1:], end]
    return tuple(
        Note(start, stop - start, midi, cues.velocity)
        for start, stop in zip(starts, stops, strict=True)
        for midi in pitches
    )


def _drums(name: str, beats_per_bar: int, bars: int, cues: Cues, rng: np.random.Generator) -> list[Part]:
    pans = {"shaker": 0.35, "brush": -0.15, "rim": -0.3, "tom": 0.1, "kick": 0.0}
    rooms = {"shaker": 0.15, "brush": 0.25, "rim": 0.3, "tom": 0.4, "kick": 0.05}
    parts = []
    for drum, notes in accompaniment.drum_parts(name, beats_per_bar, bars, cues, rng).items():
        instrument: Instrument = next(known for known in get_args(Instrument) if known == drum)
        # a kit enters with the cue: 12 dB lower where there is but a hint of it
        trim = -12.0 * (1.0 - cues.percussion)
        parts.append(Part(instrument, "percussion", tuple(notes), trim, pans[drum], rooms[drum]))
    return parts


def length_s(score: Score) -> float:
    """From the first beat to the last chord's onset, in seconds; always less than PIECE_S."""
    seconds = score.bars * score.beats_per_bar * 60.0 / score.tempo_bpm
    assert seconds < PIECE_S
    return seconds
