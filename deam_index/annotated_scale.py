"""Tells what scale ratings in DEAM's layout are on, and brings them to -1..1; what cannot be told is refused.

DEAM's own dynamic files are in -1..1. A pair in -10..10 is known by one of two signs: a value beyond 9 in one of the
two, for no scale in use ends between 9 and 10; or its songs are DEAM's own, ten times. (DEAM's values times ten reach
from -8.3 to 9.0 only, as ratings on -9..9 do: their range alone says nothing.) Any other scale is to be declared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.errors import IndexFileError
from emomusic_edge.paths import packaged_deam_index

from .csv_rows import SourceFile
from .index_file import read_index
from .scale import RatingScale

_ONE = RatingScale((-1.0, -1.0), (1.0, 1.0))
_TEN = RatingScale((-10.0, -10.0), (10.0, 10.0))
_SURELY_TEN = 9.0

# A file in -10..10 has most of its values outside -1..1 (DEAM's, times ten: 74 % of valence and 77 % of arousal), a
# file in -1..1 with slips has few.
_TENFOLD_SHARE = 0.25

# Of DEAM's songs 57 % have no valence below zero and 58 % no arousal. That none of so many has one happens by chance
# once in twelve million files; on 0..1 it is always so.
_TELLING_SONGS = 30

# The bundled index's first window of a song is the mean over so many instants, as float32.
_WINDOW_INSTANTS = 20
_SAME_MEAN = 1e-4
_LEAST_SAME_SONGS = 3
_SAME_SHARE = 0.9

_MEND = (
    "State the scale that they were rated on, --scale -10..10 say, or 1..9, or valence's and arousal's apart: "
    "-3..3,0..6. Its middle becomes 0, its ends -1 and 1."
)


@dataclass(frozen=True, slots=True, eq=False)
class RatedTable:
    """The ratings of one axis.

    Attributes:
        file: where they stand.
        axis: 0 for valence, 1 for arousal.
        header: the names of the columns, the song's number first.
        first_s: the instant of the first value.
        rows: the values by song id, NaN where a cell is empty.
        lines: the line of each song in the file.
    """

    file: SourceFile
    axis: int
    header: Sequence[str]
    first_s: float
    rows: dict[int, NDArray[np.float64]]
    lines: dict[int, int]

    def cell(self, song: int, column: int) -> str:
        """A value's place, as messages name it."""
        return f"row {self.lines[song]}, column {self.header[column + 1]}"


@dataclass(frozen=True, slots=True)
class _Look:
    """What a table's values look like: their range, the cell farthest from zero, whether most lie outside -1..1."""

    low: float
    high: float
    far: str
    tenfold: bool

    @property
    def reach(self) -> float:
        return max(-self.low, self.high)


def in_music_units(
    valence: RatedTable, arousal: RatedTable, declared: RatingScale | None
) -> tuple[RatedTable, RatedTable, RatingScale, tuple[str, ...]]:
    """The two tables in -1..1, the scale that they were on, and what a person should know of it.

    Args:
        valence: as it stands in the file.
        arousal: likewise.
        declared: the scale that a person states; None to tell it.

    Raises:
        IndexFileError: a value lies outside the scale, the two are not on the same one, or which one it is cannot be
            told; file, row and column are named.
    """
    if declared is not None:
        told = f"valence and arousal are read as {declared}, as declared"
        return _rescaled(valence, declared), _rescaled(arousal, declared), declared, (told,)
    looks = [(table, look) for table in (valence, arousal) if (look := _look(table)) is not None]
    tens = [(table, look) for table, look in looks if look.tenfold]
    if not tens:
        return valence, arousal, _ONE, ()
    sure = max(look.reach for _, look in tens) > _SURELY_TEN
    if not sure and not all(look.tenfold and _is_deam_times_ten(table) for table, look in looks):
        raise _another_scale(*tens[0])
    if ones := [table for table, look in looks if not look.tenfold]:
        raise IndexFileError(
            f"{tens[0][0].file.shown} is in -10..10 and {ones[0].file.shown} in -1..1; the same scale was expected.",
            mend=_MEND,
        )
    notes = (
        f"{table.file.name} holds values from {look.low:g} to {look.high:g}: read as -10..10 and divided by ten"
        for table, look in tens
    )
    return _rescaled(valence, _TEN), _rescaled(arousal, _TEN), _TEN, tuple(notes)


def _look(table: RatedTable) -> _Look | None:
    """What the values look like; None where no cell is filled."""
    everything = np.concatenate(list(table.rows.values()))
    everything = everything[~np.isnan(everything)]
    if not len(everything):
        return None
    low, high = float(everything.min()), float(everything.max())
    farthest = max(-low, high)
    far = next(
        table.cell(song, int(columns[0]))
        for song, values in table.rows.items()
        if len(columns := np.flatnonzero(np.abs(values) == farthest))
    )
    tenfold = float((np.abs(everything) > 1.0).mean()) >= _TENFOLD_SHARE
    look = _Look(low, high, far, tenfold)
    if tenfold and (low >= 0 or high <= 0):
        raise _another_scale(table, look)
    _hold_within(table, _TEN if tenfold else _ONE)
    if low >= 0 and sum(bool((values >= 0).any()) for values in table.rows.values()) >= _TELLING_SONGS:
        raise _another_scale(table, look)
    return look


def _hold_within(table: RatedTable, scale: RatingScale) -> None:
    low, high = scale.low[table.axis], scale.high[table.axis]
    for song, values in table.rows.items():
        outside = np.flatnonzero((values < low) | (values > high))
        if len(outside):
            column = int(outside[0])
            raise IndexFileError(
                f"{table.file.shown} {table.cell(song, column)} is {values[column]:g}; {low:g}..{high:g} was expected.",
                mend=_MEND,
            )


def _rescaled(table: RatedTable, scale: RatingScale) -> RatedTable:
    _hold_within(table, scale)
    low, high = scale.low[table.axis], scale.high[table.axis]
    middle, half = (low + high) / 2, (high - low) / 2
    return replace(table, rows={song: (values - middle) / half for song, values in table.rows.items()})


def _is_deam_times_ten(table: RatedTable) -> bool:
    """Whether the songs that the bundled index knows too have its values, ten times."""
    index = read_index(packaged_deam_index())
    _, first_windows = np.unique(index.song, return_index=True)
    known = {int(song_id): row for song_id, row in zip(index.song_ids, first_windows.tolist(), strict=True)}
    compared = [
        abs(float(values[:_WINDOW_INSTANTS].mean()) / 10 - float(index.points[known[song], table.axis])) < _SAME_MEAN
        for song, values in table.rows.items()
        if song in known and len(values) >= _WINDOW_INSTANTS and table.first_s == index.start_s[known[song]]
    ]
    return len(compared) >= _LEAST_SAME_SONGS and sum(compared) >= _SAME_SHARE * len(compared)


def _another_scale(table: RatedTable, look: _Look) -> IndexFileError:
    return IndexFileError(
        f"{table.file.shown} holds values from {look.low:g} to {look.high:g} (the farthest from 0: {look.far}): "
        "neither -1..1 nor surely -10..10, which were expected.",
        mend=_MEND,
    )
