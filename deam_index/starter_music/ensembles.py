"""Who plays: for each kind of piece the instruments, what each of them does, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .score import Instrument, Role

EnsembleName = Literal[
    "drift",
    "meadow",
    "cradle",
    "hush",
    "stroll",
    "window",
    "nocturne",
    "letter",
    "ash",
    "fair",
    "sparkle",
    "transit",
    "pursuit",
    "engine",
    "shadow",
]


@dataclass(frozen=True, slots=True)
class Voice:
    """One instrument of an ensemble.

    Attributes:
        writer: what it plays: `melody`, `pad`, `drone`, or `chords:`, `arpeggio:`, `ostinato:`, `bass:` and a pattern
            of accompaniment.py.
        trim_db, pan, room, echo: as in score.Part.
    """

    instrument: Instrument
    role: Role
    writer: str
    trim_db: float = 0.0
    pan: float = 0.0
    room: float = 0.5
    echo: bool = False


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The voices of a kind of piece.

    Attributes:
        melody_share: how much of the piece's note density the melody takes, 0..1.
        drums: a percussion pattern of accompaniment.py; heard only where the percussion cue is above 0.
    """

    voices: tuple[Voice, ...]
    melody_share: float
    drums: str | None = None


ENSEMBLES: dict[EnsembleName, Ensemble] = {
    # calm and positive
    "drift": Ensemble(
        (
            Voice("warm_pad", "pad", "pad"),
            Voice("harp", "accompaniment", "arpeggio:harp", pan=-0.2, echo=True),
            Voice("vibraphone", "melody", "melody", pan=0.2, room=0.7, echo=True),
            Voice("round_bass", "bass", "bass:whole", trim_db=-2.0, room=0.15),
        ),
        melody_share=0.34,
        drums="light",
    ),
    "meadow": Ensemble(
        (
            Voice("strings", "pad", "pad"),
            Voice("nylon", "accompaniment", "arpeggio:broken", pan=-0.25),
            Voice("flute", "melody", "melody", trim_db=-2.5, pan=0.15, room=0.8),
            Voice("round_bass", "bass", "bass:whole", trim_db=-1.0, room=0.15),
        ),
        melody_share=0.36,
        drums="brushes",
    ),
    "cradle": Ensemble(
        (
            Voice("choir", "pad", "pad"),
            Voice("kalimba", "accompaniment", "arpeggio:alberti", pan=0.25, echo=True),
            Voice("felt_piano", "melody", "melody", pan=-0.1, room=0.6),
            Voice("round_bass", "bass", "bass:whole", trim_db=-2.0, room=0.15),
        ),
        melody_share=0.36,
    ),
    "hush": Ensemble(
        (
            Voice("glass_pad", "pad", "pad"),
            Voice("felt_piano", "accompaniment", "chords:halves", pan=-0.1, room=0.7),
            Voice("kalimba", "melody", "melody", pan=0.2, room=0.8, echo=True),
            Voice("sub_drone", "bass", "drone", trim_db=-3.0, room=0.2),
        ),
        melody_share=0.85,
    ),
    # near the middle
    "stroll": Ensemble(
        (
            Voice("warm_pad", "pad", "pad", trim_db=-3.0),
            Voice("electric_piano", "accompaniment", "chords:charleston", pan=-0.15, room=0.35),
            Voice("vibraphone", "melody", "melody", pan=0.2, room=0.5),
            Voice("round_bass", "bass", "bass:one_three", room=0.1),
        ),
        melody_share=0.8,
        drums="brushes",
    ),
    "window": Ensemble(
        (
            Voice("strings", "pad", "pad", trim_db=-1.0),
            Voice("electric_piano", "accompaniment", "arpeggio:broken", pan=-0.15, room=0.4, echo=True),
            Voice("reed", "melody", "melody", trim_db=-2.5, pan=0.15, room=0.7),
            Voice("round_bass", "bass", "bass:whole", room=0.1),
        ),
        melody_share=0.4,
        drums="brushes",
    ),
    # sad, low
    "nocturne": Ensemble(
        (
            Voice("strings", "pad", "pad", trim_db=-1.5),
            Voice("felt_piano", "accompaniment", "arpeggio:broken", trim_db=-1.0, pan=-0.12, room=0.6),
            Voice("felt_piano", "melody", "melody", pan=0.1, room=0.7),
            Voice("round_bass", "bass", "bass:whole", trim_db=-3.0, room=0.2),
        ),
        melody_share=0.45,
    ),
    "letter": Ensemble(
        (
            Voice("choir", "pad", "pad", trim_db=-1.0),
            Voice("nylon", "accompaniment", "arpeggio:up_down", pan=-0.2),
            Voice("reed", "melody", "melody", trim_db=-2.5, pan=0.15, room=0.7),
            Voice("round_bass", "bass", "bass:whole", trim_db=-1.0, room=0.15),
        ),
        melody_share=0.4,
    ),
    "ash": Ensemble(
        (
            Voice("choir", "pad", "pad"),
            Voice("strings", "pad", "drone", trim_db=-4.0),
            Voice("felt_piano", "melody", "melody", room=0.9, echo=True),
            Voice("harp", "accompaniment", "arpeggio:up", trim_db=-3.0, pan=0.25, room=0.8),
            Voice("sub_drone", "bass", "drone", trim_db=-2.0, room=0.2),
        ),
        melody_share=0.55,
        drums="heartbeat",
    ),
    # lively and positive
    "fair": Ensemble(
        (
            Voice("strings", "pad", "pad", trim_db=-3.0),
            Voice("nylon", "accompaniment", "chords:push", pan=-0.25, room=0.25),
            Voice("marimba", "accompaniment", "arpeggio:broken", trim_db=-2.0, pan=0.3, room=0.3),
            Voice("celesta", "melody", "melody", pan=0.1, room=0.45),
            Voice("round_bass", "bass", "bass:skip", room=0.05),
        ),
        melody_share=0.5,
        drums="dance",
    ),
    "sparkle": Ensemble(
        (
            Voice("warm_pad", "pad", "pad", trim_db=-2.0),
            Voice("kalimba", "accompaniment", "arpeggio:up_down", pan=0.3, room=0.4),
            Voice("electric_piano", "accompaniment", "chords:offbeat", trim_db=-3.0, pan=-0.25, room=0.3),
            Voice("marimba", "melody", "melody", room=0.4),
            Voice("round_bass", "bass", "bass:one_three", room=0.05),
        ),
        melody_share=0.5,
        drums="dance",
    ),
    "transit": Ensemble(
        (
            Voice("strings", "pad", "pad", trim_db=-1.5),
            Voice("electric_piano", "accompaniment", "arpeggio:up", pan=-0.2, room=0.3, echo=True),
            Voice("vibraphone", "melody", "melody", pan=0.15, room=0.5),
            Voice("round_bass", "bass", "bass:pulse", trim_db=-1.0, room=0.05),
        ),
        melody_share=0.4,
        drums="drive",
    ),
    # tense
    "pursuit": Ensemble(
        (
            Voice("strings", "pad", "pad", trim_db=-1.0),
            Voice("spiccato", "accompaniment", "ostinato:three_three_two", pan=-0.2, room=0.35),
            Voice("reed", "melody", "melody", trim_db=-3.0, pan=0.2, room=0.5),
            Voice("round_bass", "bass", "bass:pulse", trim_db=-1.0, room=0.1),
        ),
        melody_share=0.35,
        drums="march",
    ),
    "engine": Ensemble(
        (
            Voice("glass_pad", "pad", "pad", trim_db=-1.0),
            Voice("marimba", "accompaniment", "ostinato:driving", pan=-0.25, room=0.3),
            Voice("spiccato", "accompaniment", "arpeggio:up_down", trim_db=-3.0, pan=0.3, room=0.4),
            Voice("celesta", "melody", "melody", trim_db=-2.0, room=0.6),
            Voice("round_bass", "bass", "bass:quarters", room=0.05),
        ),
        melody_share=0.3,
        drums="drive",
    ),
    "shadow": Ensemble(
        (
            Voice("choir", "pad", "pad"),
            Voice("nylon", "accompaniment", "ostinato:stalking", pan=-0.2, room=0.4),
            Voice("felt_piano", "melody", "melody", trim_db=-1.0, pan=0.15, room=0.8, echo=True),
            Voice("sub_drone", "bass", "drone", trim_db=-1.0, room=0.2),
        ),
        melody_share=0.6,
        drums="heartbeat",
    ),
}
