"""Reads DEAM's dynamic annotations: two wide CSV files, valence and arousal, a row a song, a column an instant.

`song_id,sample_15000ms,sample_15500ms,…`: 2 Hz, values in -1..1, cells empty where nothing was annotated. The first
instant of DEAM's files is 15.0 s; the reader takes it from the header.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.affect import DEAM
from emomusic_edge.artefacts import sha256_of
from emomusic_edge.errors import IndexFileError

STEP_S = 0.5

# A file in -10..10 has most of its values outside -1..1 (DEAM's, times ten: 74 % of valence and 77 % of arousal), a
# file in -1..1 with slips has few.
_TENFOLD_SHARE = 0.25

_SAMPLE = re.compile(r"sample_(\d{1,9})ms", re.ASCII)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)
_MEND = "Name the folder of DEAM's dynamic annotations (valence.csv and arousal.csv, averaged per song) with --deam."


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
    """All songs of a pair of files.

    Attributes:
        songs: by rising song id.
        sha256: of each file read, by its name.
        notes: what a person should know, e.g. that a file was rescaled.
    """

    songs: tuple[SongAnnotation, ...]
    sha256: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    path: Path
    first_s: float
    rows: dict[int, NDArray[np.float64]]  # NaN where a cell is empty
    note: str


def read_annotations(folder: Path) -> AnnotationSet:
    """Read `valence.csv` and `arousal.csv`.

    A song ends, for both axes, with the last instant that both have: nine songs of DEAM differ in length, and two of
    these have one stray valence long after their end. A file in -10..10 is recognised and divided by ten.

    Raises:
        IndexFileError: a file is missing or of another layout, a cell is no number or out of range (file, row and
            column are named), or the two files do not hold the same songs and instants.
    """
    valence = _read_table(folder / "valence.csv")
    arousal = _read_table(folder / "arousal.csv")
    if valence.first_s != arousal.first_s:
        raise IndexFileError(
            f"{valence.path} starts at {valence.first_s} s and {arousal.path} at {arousal.first_s} s; "
            "the same first instant was expected.",
            mend=_MEND,
        )
    if odd := sorted(valence.rows.keys() ^ arousal.rows.keys()):
        raise IndexFileError(
            f"{len(odd)} songs (the first: {odd[0]}) stand in only one of {valence.path} and {arousal.path}.",
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
    if not songs:
        raise IndexFileError(f"{valence.path} and {arousal.path} share no annotated instant.", mend=_MEND)
    notes = [table.note for table in (valence, arousal) if table.note]
    if without:
        notes.append(f"left out, without an instant that both axes have: songs {', '.join(map(str, without))}")
    return AnnotationSet(
        songs=tuple(songs),
        sha256={table.path.name: sha256_of(table.path) for table in (valence, arousal)},
        notes=tuple(notes),
    )


def _shared(valence: NDArray[np.float64], arousal: NDArray[np.float64]) -> NDArray[np.float64]:
    length = min(len(valence), len(arousal))
    values = np.column_stack([valence[:length], arousal[:length]])
    missing = np.isnan(values).any(axis=1)
    values[missing] = np.nan
    present = np.flatnonzero(~missing)
    return values[: present[-1] + 1] if len(present) else values[:0]


def _read_table(path: Path) -> _Table:
    rows: dict[int, NDArray[np.float64]] = {}
    lines: dict[int, int] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            first_s = _first_instant_s(path, header)
            for cells in reader:
                if not cells:
                    continue
                song_id = _song_id(path, reader.line_num, cells[0])
                if song_id in rows:
                    raise IndexFileError(
                        f"{path} row {reader.line_num}: song {song_id} stands there twice.", mend=_MEND
                    )
                rows[song_id] = _numbers(path, reader.line_num, header, cells)
                lines[song_id] = reader.line_num
    except OSError as cause:
        raise IndexFileError(f"{path} cannot be read: {cause.strerror or cause}.", mend=_MEND) from cause
    except (UnicodeDecodeError, csv.Error) as cause:
        raise IndexFileError(f"{path} is not a CSV file in UTF-8: {cause}.", mend=_MEND) from cause
    if not rows:
        raise IndexFileError(f"{path} holds no song.", mend=_MEND)
    return _in_deam_units(path, header, first_s, rows, lines)


def _first_instant_s(path: Path, header: list[str]) -> float:
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


def _song_id(path: Path, line: int, cell: str) -> int:
    text = cell.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise IndexFileError(f"{path} row {line}, column song_id is {cell!r}; a whole number was expected.", mend=_MEND)
    return int(text)


def _numbers(path: Path, line: int, header: list[str], cells: list[str]) -> NDArray[np.float64]:
    if len(cells) > len(header):
        raise IndexFileError(f"{path} row {line} has {len(cells)} cells for {len(header)} columns.", mend=_MEND)
    values = np.full(len(header) - 1, np.nan)
    for column, cell in enumerate(cells[1:]):
        if not cell or not (text := cell.strip()):
            continue
        if _NUMBER.fullmatch(text) is None:
            raise IndexFileError(
                f"{path} row {line}, column {header[column + 1]} is {cell!r}; a number in -1..1 was expected.",
                mend=_MEND,
            )
        values[column] = float(text)
    return values


def _in_deam_units(
    path: Path,
    header: list[str],
    first_s: float,
    rows: dict[int, NDArray[np.float64]],
    lines: dict[int, int],
) -> _Table:
    everything = np.concatenate(list(rows.values()))
    size = np.abs(everything[~np.isnan(everything)])
    unit = DEAM.high.valence
    tenfold = len(size) > 0 and float((size > unit).mean()) >= _TENFOLD_SHARE
    limit = 10 * unit if tenfold else unit
    for song, values in rows.items():
        outside = np.flatnonzero(np.abs(values) > limit)
        if len(outside):
            column = int(outside[0])
            raise IndexFileError(
                f"{path} row {lines[song]}, column {header[column + 1]} is {values[column]:g}; "
                f"{-limit:g}..{limit:g} was expected.",
                mend=_MEND,
            )
    if not tenfold:
        return _Table(path, first_s, rows, note="")
    note = f"{path.name} holds values to {size.max():g}: read as -10..10 and divided by ten"
    return _Table(path, first_s, {song: values / 10 for song, values in rows.items()}, note)
