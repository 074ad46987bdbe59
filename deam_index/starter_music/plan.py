"""Which pieces there are: where each lies in the plane, and the choices a composer would make for it.

The points are laid by hand over DEAM's populated region in rows of equal arousal, in standard deviations of DEAM
from its mean, to about 2.2 of them. Neighbouring pieces differ in key, ensemble, metre and chords, so that an hour at
one spot of the plane is not one piece an hour long.
"""

from __future__ import annotations

from dataclasses import dataclass

from emomusic_edge.affect import DEAM
from emomusic_edge.contracts import ValenceArousal

from .ensembles import EnsembleName

PIECE_S = 45.0
"""The length of every file, in seconds."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece as it is asked for.

    Attributes:
        number: from 1; also what its randomness is seeded with.
        title: what people are shown; it names a picture, and claims no effect.
        valence_sd, arousal_sd: what it is made for, in standard deviations of DEAM from its mean.
        tonic: pitch class 0 (C)..11 (B).
        beats_per_bar: 3 or 4.
        ensemble: who plays.
        progressions: which two of the mode's chord progressions it uses (taken modulo how many there are).
    """

    number: int
    title: str
    valence_sd: float
    arousal_sd: float
    tonic: int
    beats_per_bar: int
    ensemble: EnsembleName
    progressions: tuple[int, int]

    @property
    def affect(self) -> ValenceArousal:
        """What it is made for, in DEAM units (-1..1)."""
        return ValenceArousal(
            DEAM.mean.valence + self.valence_sd * DEAM.sd.valence,
            DEAM.mean.arousal + self.arousal_sd * DEAM.sd.arousal,
        )

    @property
    def song_id(self) -> str:
        """`starter-07`."""
        return f"starter-{self.number:02d}"

    @property
    def file_name(self) -> str:
        """`starter-07-slow-rain.ogg`."""
        return f"{self.song_id}-{self.title.lower().replace(' ', '-')}.ogg"

    @property
    def shown_title(self) -> str:
        """`Starter 07: slow rain`."""
        return f"Starter {self.number:02d}: {self.title}"


_ROWS: tuple[tuple[str, float, float, int, int, EnsembleName, tuple[int, int]], ...] = (
    # very calm
    ("under the ice", -1.1, -2.05, 2, 4, "ash", (0, 3)),
    ("grey water", 0.1, -2.15, 7, 4, "hush", (0, 1)),
    ("snow light", 1.2, -1.85, 3, 4, "hush", (5, 2)),
    # calm
    ("empty platform", -2.15, -1.2, 1, 4, "ash", (2, 3)),
    ("slow rain", -1.1, -1.3, 9, 4, "nocturne", (1, 4)),
    ("half moon", -0.2, -1.45, 4, 3, "letter", (0, 1)),
    ("still lake", 0.65, -1.4, 0, 4, "drift", (5, 2)),
    ("linen and sun", 1.4, -1.15, 5, 3, "cradle", (0, 7)),
    ("garden gate", 2.1, -1.0, 10, 4, "meadow", (6, 1)),
    # easy
    ("old letters", -1.6, -0.55, 6, 3, "letter", (0, 4)),
    ("last bus", -0.7, -0.65, 11, 4, "nocturne", (0, 2)),
    ("kitchen window", 0.15, -0.7, 8, 4, "window", (1, 2)),
    ("morning tea", 0.95, -0.6, 2, 4, "drift", (3, 7)),
    ("bicycle path", 1.75, -0.35, 7, 3, "meadow", (1, 4)),
    # neither calm nor lively
    ("cellar stairs", -2.15, 0.1, 4, 4, "shadow", (0, 2)),
    ("wet street", -1.1, 0.1, 0, 4, "window", (0, 5)),
    ("chess in the park", -0.3, 0.05, 5, 4, "stroll", (1, 3)),
    ("side street", 0.5, 0.1, 10, 3, "stroll", (1, 3)),
    ("market stall", 1.3, 0.3, 3, 4, "stroll", (4, 2)),
    ("paper kites", 2.15, 0.25, 9, 4, "sparkle", (7, 0)),
    # lively
    ("locked door", -1.6, 0.8, 11, 4, "shadow", (3, 1)),
    ("night train", -0.7, 0.8, 6, 4, "transit", (0, 3)),
    ("open road", 0.15, 0.85, 2, 4, "transit", (1, 0)),
    ("harbour wind", 0.95, 0.95, 8, 4, "sparkle", (1, 3)),
    ("two steps up", 1.75, 1.0, 1, 3, "fair", (2, 5)),
    # very lively
    ("cold wire", -2.0, 1.5, 7, 4, "pursuit", (0, 3)),
    ("running late", -1.1, 1.55, 3, 4, "engine", (0, 3)),
    ("crossing lights", -0.2, 1.6, 9, 4, "transit", (3, 0)),
    ("carousel", 0.6, 1.6, 4, 3, "fair", (4, 1)),
    ("summer fair", 1.4, 1.65, 0, 4, "fair", (1, 6)),
    # as lively as it gets
    ("thin ice", -0.9, 2.15, 10, 4, "pursuit", (1, 3)),
    ("downhill", 0.9, 2.15, 5, 4, "sparkle", (4, 3)),
)

PIECES: tuple[Piece, ...] = tuple(Piece(number, *row) for number, row in enumerate(_ROWS, start=1))
