"""Reads DEAM's annotations: two wide CSV files, valence and arousal, a row a song, a column an instant.

`song_id,sample_15000ms,sample_15500ms,…`: 2 Hz, values in -1..1, cells empty where nothing was annotated. The first
instant of DEAM's files is 15.0 s; the reader takes it from the header. What else DEAM tells of its songs comes along:
ratings of whole songs, artists and titles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.affect import DEAM
from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.errors import IndexFileError

from .csv_rows import SourceFile, is_number, rows_of, song_number
from .deam_source import MEND as _MEND
from .deam_source import find_deam
from .deam_titles import read_titles
from .song_level import read_song_level

STEP_S = 0.5

# A file in -10..10 has most of its values outside -1..1 (DEAM's, times ten: 74 % of valence and 77 % of arousal), a
# file in -1..1 with slips has few.
_TENFOLD_SHARE = 0.25

# Ratings on -3..3 or -5..5 have most of theirs outside -1..1 too; DEAM's, times ten, reach -8.3 and 9.0.
_TENFOLD_LEAST = 5.0

# Of DEAM's songs 57 % have no valence below zero and 58 % no arousal. That none of so many has one happens by chance
# once in twelve million files; on 0..1 it is always so.
_TELLING_SONGS = 30

_SAMPLE = re.compile(r"sample_(\d{1,9})ms", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class SongAnnotation:
    """The annotations of one song over the instants that valence and arousal share.

    Attributes:
        song_id: DEAM's number.
        first_s: the instant of row 0, in seconds of the song; row i is at first_s + i * STEP_S.
        values: float64 [n, 2] in -1..1, NaN in both columns where either is missing; row n - 1 is present.
    """

    song_id: int
    first_s: float
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationSet:
    """All songs that DEAM's files tell of.

    Attributes:
        songs: with dynamic annotations, by rising song id; may be none where there are song-level ratings.
        sha256: of the two dynamic files, by name.
        notes: what a person should know, e.g. that a file was rescaled.
        song_level: the rating of the whole song, -1..1, by song id.
        song_level_sha256: of the files that these stand in, by name.
        titles: what to show, by song id.
    """

    songs: tuple[SongAnnotation, ...]
    sha256: dict[str, str]
    notes: tuple[str, ...]
    song_level: Mapping[int, ValenceArousal] = field(default_factory=dict)
    song_level_sha256: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    file: SourceFile
    first_s: float
    rows: dict[int, NDArray[np.float64]]  # in -1..1, NaN where a cell is empty
    tenfold: bool | None  # None where no cell is filled
    note: str


def read_annotations(place: Path) -> AnnotationSet:
    """Read what a folder, or a .zip archive, of DEAM holds.

    A song ends, for both axes, with the last instant that both have: nine songs of DEAM differ in length, and two of
    these have one stray valence long after their end. Files in -10..10 are recognised and divided by ten.

    Raises:
        IndexFileError: a file is missing or of another layout, a cell is no number or out of range (file, row and
            column are named), a file is on another scale, or the two dynamic files are not on the same scale or do
            not hold the same songs and instants.
    """
    files = find_deam(place)
    songs: tuple[SongAnnotation, ...] = ()
    notes: tuple[str, ...] = ()
    sha256 = {}
    song_level = read_song_level(files.song_level)
    if files.valence is not None and files.arousal is not None:
        songs, notes = _dynamic(files.valence, files.arousal)
        sha256 = {file.name: file.sha256 for file in (files.valence, files.arousal)}
        if not songs and not song_level:
            raise IndexFileError(
                f"{files.valence.shown} and {files.arousal.shown} share no annotated instant.", mend=_MEND
            )
    titles, title_notes = read_titles(files.metadata)
    return AnnotationSet(
        songs,
        sha256,
        files.notes + notes + title_notes,
        song_level,
        {file.name: file.sha256 for file in files.song_level},
        titles,
    )


def _dynamic(valence_file: SourceFile, arousal_file: SourceFile) -> tuple[tuple[SongAnnotation, ...], tuple[str, ...]]:
    valence, arousal = _read_table(valence_file), _read_table(arousal_file)
    if valence.first_s != arousal.first_s:
        raise IndexFileError(
            f"{valence_file.shown} starts at {valence.first_s} s and {arousal_file.shown} at {arousal.first_s} s; "
            "the same first instant was expected.",
            mend=_MEND,
        )
    if None not in (valence.tenfold, arousal.tenfold) and valence.tenfold != arousal.tenfold:
        ten, one = (valence, arousal) if valence.tenfold else (arousal, valence)
        raise IndexFileError(
            f"{ten.file.shown} is in -10..10 and {one.file.shown} in -1..1; the same scale was expected.", mend=_MEND
        )
    if odd := sorted(valence.rows.keys() ^ arousal.rows.keys()):
        raise IndexFileError(
            f"{len(odd)} songs (the first: {odd[0]}) stand in only one of {valence_file.shown} and "
            f"{arousal_file.shown}.",
            mend=_MEND,
        )
    songs = []
    without = []
    for song_id in sorted(valence.rows):
        values = _shared(valence.rows[song_id], arousal.rows[song_id])
        if len(values):
            songs.append(SongAnnotation(song_id, valence.first_s, values))
        else:
            without.append(song_id)
    notes = [table.note for table in (valence, arousal) if table.note]
    if without:
        notes.append(f"without an instant that both axes have: songs {', '.join(map(str, without))}")
    return tuple(songs), tuple(notes)


def _shared(valence: NDArray[np.float64], arousal: NDArray[np.float64]) -> NDArray[np.float64]:
    length = min(len(valence), len(arousal))
    values = np.column_stack([valence[:length], arousal[:length]])
    missing = np.isnan(values).any(axis=1)
    values[missing] = np.nan
    present = np.flatnonzero(~missing)
    return values[: present[-1] + 1] if len(present) else values[:0]


def _read_table(file: SourceFile) -> _Table:
    rows: dict[int, NDArray[np.float64]] = {}
    lines: dict[int, int] = {}
    lines_and_cells = rows_of(file, mend=_MEND)
    header = [name.strip() for name in next(lines_and_cells, (1, []))[1]]
    first_s = _first_instant_s(file.shown, header)
    for line, cells in lines_and_cells:
        song_id = song_number(file, line, cells[0], mend=_MEND)
        if song_id in rows:
            raise IndexFileError(f"{file.shown} row {line}: song {song_id} stands there twice.", mend=_MEND)
        rows[song_id] = _numbers(file.shown, line, header, cells)
        lines[song_id] = line
    if not rows:
        raise IndexFileError(f"{file.shown} holds no song.", mend=_MEND)
    return _in_deam_units(file, header, first_s, rows, lines)


def _first_instant_s(path: str, header: list[str]) -> float:
    if len(header) < 2 or header[0] != "song_id":
        raise IndexFileError(
            f"{path} row 1, column 1 is {header[0] if header else ''!r}; "
            "`song_id,sample_15000ms,sample_15500ms,…` was expected.",
            mend=_MEND,
        )
    first_ms = None
    for column, name in enumerate(header[1:], start=2):
        match = _SAMPLE.fullmatch(name)
        if first_ms is None:
            expected = "sample_15000ms"
            good = match is not None
            first_ms = int(match[1]) if match else 0
        else:
            expected = f"sample_{first_ms + round((column - 2) * STEP_S * 1000)}ms"
            good = name == expected
        if not good:
            raise IndexFileError(f"{path} row 1, column {column} is {name!r}; {expected!r} was expected.", mend=_MEND)
    return (first_ms or 0) / 1000


def _numbers(path: str, line: int, header: list[str], cells: list[str]) -> NDArray[np.float64]:
    if len(cells) > len(header):
        raise IndexFileError(f"{path} row {line} has {len(cells)} cells for {len(header)} columns.", mend=_MEND)
    values = np.full(len(header) - 1, np.nan)
    for column, cell in enumerate(cells[1:]):
        if not cell or not (text := cell.strip()):
            continue
        if not is_number(text):
            raise IndexFileError(
                f"{path} row {line}, column {header[column + 1]} is {cell!r}; a number in -1..1 was expected.",
                mend=_MEND,
            )
        values[column] = float(text)
    return values


def _in_deam_units(
    file: SourceFile,
    header: list[str],
    first_s: float,
    rows: dict[int, NDArray[np.float64]],
    lines: dict[int, int],
) -> _Table:
    everything = np.concatenate(list(rows.values()))
    everything = everything[~np.isnan(everything)]
    if not len(everything):
        return _Table(file, first_s, rows, tenfold=None, note="")
    unit = DEAM.high.valence
    low, high = float(everything.min()), float(everything.max())
    tenfold = float((np.abs(everything) > unit).mean()) >= _TENFOLD_SHARE
    if tenfold and (low >= 0 or high <= 0 or max(-low, high) <= _TENFOLD_LEAST):
        raise _another_scale(file, low, high)
    limit = 10 * unit if tenfold else unit
    for song, values in rows.items():
        outside = np.flatnonzero(np.abs(values) > limit)
        if len(outside):
            column = int(outside[0])
            raise IndexFileError(
                f"{file.shown} row {lines[song]}, column {header[column + 1]} is {values[column]:g}; "
                f"{-limit:g}..{limit:g} was expected.",
                mend=_MEND,
            )
    if low >= 0 and sum(bool((values >= 0).any()) for values in rows.values()) >= _TELLING_SONGS:
        raise _another_scale(file, low, high)
    if not tenfold:
        return _Table(file, first_s, rows, tenfold, note="")
    note = f"{file.name} holds values from {low:g} to {high:g}: read as -10..10 and divided by ten"
    return _Table(file, first_s, {song: values / 10 for song, values in rows.items()}, tenfold, note)


def _another_scale(file: SourceFile, low: float, high: float) -> IndexFileError:
    return IndexFileError(
        f"{file.shown} holds values from {low:g} to {high:g}: neither -1..1 nor -10..10, which were expected.",
        mend="Bring valence and arousal to -1..1, 0 in the middle of the scale that they were rated on.",
    )
