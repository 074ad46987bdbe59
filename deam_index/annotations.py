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

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.errors import IndexFileError

from .annotated_scale import RatedTable, in_music_units
from .csv_rows import SourceFile, is_number, no_cell_beyond, rows_of, song_number
from .deam_source import MEND as _MEND
from .deam_source import find_deam
from .deam_titles import read_titles
from .scale import RatingScale
from .song_level import read_song_level

STEP_S = 0.5

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
        scale: what the dynamic values were on before they were brought to -1..1.
    """

    songs: tuple[SongAnnotation, ...]
    sha256: dict[str, str]
    notes: tuple[str, ...]
    song_level: Mapping[int, ValenceArousal] = field(default_factory=dict)
    song_level_sha256: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[int, str] = field(default_factory=dict)
    scale: str = "-1..1"


def read_annotations(place: Path, scale: RatingScale | None = None) -> AnnotationSet:
    """Read what a folder, or a .zip archive, of DEAM holds.

    A song ends, for both axes, with the last instant that both have: nine songs of DEAM differ in length, and two of
    these have one stray valence long after their end. Files in -10..10 are recognised and divided by ten.

    Args:
        place: the folder or archive.
        scale: what the two dynamic files are on; None to tell -1..1 from -10..10 (see annotated_scale.py).

    Raises:
        IndexFileError: a file is missing or of another layout, a cell is no number or out of range (file, row and
            column are named), a file is on another scale or on one that cannot be told, or the two dynamic files
            are not on the same scale or do not hold the same songs and instants.
    """
    files = find_deam(place)
    songs: tuple[SongAnnotation, ...] = ()
    notes: tuple[str, ...] = ()
    sha256 = {}
    on = "-1..1"
    song_level = read_song_level(files.song_level)
    if files.valence is not None and files.arousal is not None:
        songs, on, notes = _dynamic(files.valence, files.arousal, scale)
        sha256 = {file.name: file.sha256 for file in (files.valence, files.arousal)}
        if not songs and not song_level:
            raise IndexFileError(
                f"{files.valence.shown} and {files.arousal.shown} share no annotated instant.", mend=_MEND
            )
    elif scale is not None:
        notes = ("a scale was declared, but there are song-level ratings only, which are on 1..9",)
    titles, title_notes = read_titles(files.metadata)
    return AnnotationSet(
        songs,
        sha256,
        files.notes + notes + title_notes,
        song_level,
        {file.name: file.sha256 for file in files.song_level},
        titles,
        on,
    )


def _dynamic(
    valence_file: SourceFile, arousal_file: SourceFile, scale: RatingScale | None
) -> tuple[tuple[SongAnnotation, ...], str, tuple[str, ...]]:
    valence, arousal = _read_table(valence_file, axis=0), _read_table(arousal_file, axis=1)
    if valence.first_s != arousal.first_s:
        raise IndexFileError(
            f"{valence_file.shown} starts at {valence.first_s} s and {arousal_file.shown} at {arousal.first_s} s; "
            "the same first instant was expected.",
            mend=_MEND,
        )
    valence, arousal, on, notes = in_music_units(valence, arousal, scale)
    if odd := sorted(valence.rows.keys() ^ arousal.rows.keys()):
        there, lacking = (valence, arousal) if odd[0] in valence.rows else (arousal, valence)
        more = "" if len(odd) == 1 else f"; {len(odd)} songs in all stand in only one of the two files"
        raise IndexFileError(
            f"{there.file.shown} row {there.lines[odd[0]]}, column song_id: song {odd[0]} stands nowhere in "
            f"{lacking.file.shown}{more}.",
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
    if without:
        notes += (f"without an instant that both axes have: songs {', '.join(map(str, without))}",)
    return tuple(songs), str(on), notes


def _shared(valence: NDArray[np.float64], arousal: NDArray[np.float64]) -> NDArray[np.float64]:
    length = min(len(valence), len(arousal))
    values = np.column_stack([valence[:length], arousal[:length]])
    missing = np.isnan(values).any(axis=1)
    values[missing] = np.nan
    present = np.flatnonzero(~missing)
    return values[: present[-1] + 1] if len(present) else values[:0]


def _read_table(file: SourceFile, *, axis: int) -> RatedTable:
    rows: dict[int, NDArray[np.float64]] = {}
    lines: dict[int, int] = {}
    lines_and_cells = rows_of(file, mend=_MEND)
    header = [name.strip() for name in next(lines_and_cells, (1, []))[1]]
    first_s = _first_instant_s(file.shown, header)
    for line, cells in lines_and_cells:
        song_id = song_number(file, line, cells[0], mend=_MEND)
        if song_id in rows:
            raise IndexFileError(
                f"{file.shown} row {line}, column song_id: song {song_id} stands there twice, first in "
                f"row {lines[song_id]}.",
                mend=_MEND,
            )
        rows[song_id] = _numbers(file, line, header, cells)
        lines[song_id] = line
    if not rows:
        raise IndexFileError(f"{file.shown} holds no song.", mend=_MEND)
    return RatedTable(file, axis, header, first_s, rows, lines)


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


def _numbers(file: SourceFile, line: int, header: list[str], cells: list[str]) -> NDArray[np.float64]:
    no_cell_beyond(file, line, header, cells, mend=_MEND)
    values = np.full(len(header) - 1, np.nan)
    for column, cell in enumerate(cells[1:]):
        if not cell or not (text := cell.strip()):
            continue
        if not is_number(text):
            raise IndexFileError(
                f"{file.shown} row {line}, column {header[column + 1]} is {cell!r}; a number was expected.",
                mend=_MEND,
            )
        values[column] = float(text)
    return values
