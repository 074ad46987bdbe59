"""The written music: notes, parts and scores, in beats; what composition writes and rendering plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .cues import Cues, ModeName

Instrument = Literal[
    "felt_piano",
    "electric_piano",
    "harp",
    "nylon",
    "vibraphone",
    "kalimba",
    "celesta",
    "marimba",
    "warm_pad",
    "strings",
    "choir",
    "glass_pad",
    "flute",
    "reed",
    "spiccato",
    "round_bass",
    "sub_drone",
    "kick",
    "shaker",
    "brush",
    "rim",
    "tom",
]

Role = Literal["melody", "second", "accompaniment", "pad", "bass", "percussion"]


@dataclass(frozen=True, slots=True)
class Note:
    """One note.

    Attributes:
        beat: its onset, counted from the piece's start.
        beats: how long it is held, > 0.
        midi: its pitch, MIDI note number; percussion ignores it.
        velocity: how hard it is struck, 0..1.
    """

    beat: float
    beats: float
    midi: int
    velocity: float


@dataclass(frozen=True, slots=True)
class Part:
    """The notes of one instrument and its place in the mix.

    Attributes:
        role: sets the part's level in the mix.
        trim_db: what the ensemble adds to that level.
        pan: -1 (left)..1 (right).
        room: how much of it goes to the reverb, 0..1.
        echo: whether a soft echo in time with the music follows it.
    """

    instrument: Instrument
    role: Role
    notes: tuple[Note, ...]
    trim_db: float = 0.0
    pan: float = 0.0
    room: float = 0.5
    echo: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """A whole piece.

    Attributes:
        seed: of everything that is drawn while it is played.
        tonic: pitch class 0 (C)..11 (B).
        tempo_bpm: the tempo it is played at: the cue's, moved by a few per cent so that whole bars fill the piece.
        beats_per_bar: 3 or 4.
        bars: before the last chord, which rings until the end.
    """

    seed: tuple[int, ...]
    tonic: int
    mode: ModeName
    tempo_bpm: float
    beats_per_bar: int
    bars: int
    cues: Cues
    parts: tuple[Part, ...]
