"""Reads anyone's rated library: a CSV file with a row a stretch of sound, `path,start,end,valence,arousal`.

The names of the columns may be written in any of the usual ways, in any order, with others beside them; commas,
semicolons or tabs may stand between the cells. `start` and `end` are seconds or `m:ss`; without them, or where both
are empty, a row rates the whole song. `title` and `artist` are taken where they stand there.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emomusic_edge.errors import IndexFileError

from .csv_rows import SourceFile, no_cell_beyond, number_in, rows_of
from .deam_titles import plain
from .scale import RatingScale

COLUMNS = {
    "path": ("path", "file", "filename", "filepath", "audio", "audiofile", "location"),
    "start": ("start", "starts", "begin", "from", "starttime"),
    "end": ("end", "ends", "stop", "to", "endtime"),
    "valence": ("valence", "valencemean", "v"),
    "arousal": ("arousal", "arousalmean", "a"),
    "title": ("title", "songtitle", "track", "name"),
    "artist": ("artist", "artists", "performer"),
}
_NEEDED = ("path", "valence", "arousal")
_LONGEST_S = 86_400.0
_CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):(\d{2}(?:\.\d+)?)", re.ASCII)
MEND = "The file needs the columns path, valence and arousal; start, end, title and artist may stand beside them."


@dataclass(frozen=True, slots=True)
class RatedStretch:
    """One row.

    Attributes:
        line: of the file.
        path: relative to the audio folder, with `/` between folders.
        start_s, end_s: in seconds; end_s is None for the whole song.
        valence, arousal: -1..1.
        title, artist: empty if they do not stand there.
    """

    line: int
    path: str
    start_s: float
    end_s: float | None
    valence: float
    arousal: float
    title: str
    artist: str


def read_library(file: SourceFile, scale: RatingScale, audio_folder: Path) -> list[RatedStretch]:
    """The rows of a library, in the order of the file.

    Args:
        file: the CSV file.
        scale: what valence and arousal are on.
        audio_folder: what relative paths start from; absolute ones must lie inside it.

    Raises:
        IndexFileError: a column is missing or there twice, a cell is not what it should be, or a stretch stands there
            twice; file, row and column are named.
    """
    rows = rows_of(file, mend=MEND, delimiter=_delimiter(file))
    mend = f"Ratings are read on {scale}. State what they are on with --scale, or put the cell right."
    header = next(rows, (1, []))[1]
    places = _places(file, header)
    found = []
    first_lines: dict[tuple[str, float, float | None], int] = {}
    for line, cells in rows:
        no_cell_beyond(file, line, header, cells, mend=MEND)
        row = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
        start_s, end_s = _stretch(file, line, row)
        valence, arousal = (
            scale.to_music(axis, number_in(file, line, name, row[name], scale.low[axis], scale.high[axis], mend=mend))
            for axis, name in enumerate(("valence", "arousal"))
        )
        path = _inside(file, line, row["path"], audio_folder)
        first = first_lines.setdefault((path, start_s, end_s), line)
        if first != line:
            raise IndexFileError(
                f"{file.shown} row {line}, column path: {path} stands there twice with the same start and "
                f"end, first in row {first}.",
                mend="Keep one of the two rows.",
            )
        title, artist = plain(row.get("title", "")), plain(row.get("artist", ""))
        found.append(RatedStretch(line, path, start_s, end_s, valence, arousal, title, artist))
    if not found:
        raise IndexFileError(f"{file.shown} holds no row.", mend=MEND)
    return found


def _delimiter(file: SourceFile) -> str:
    first_line = file.content.split(b"\n", 1)[0].decode("utf-8", "replace")
    return max(",;\t", key=first_line.count)


def _places(file: SourceFile, header: list[str]) -> dict[str, int]:
    plain_names = [re.sub(r"(_s|\(s\)|_sec|_seconds)$", "", name.strip().casefold()) for name in header]
    plain_names = [re.sub(r"[\s_-]", "", name) for name in plain_names]
    places: dict[str, int] = {}
    for name, spellings in COLUMNS.items():
        at = [place for place, spelling in enumerate(plain_names) if spelling in spellings]
        if len(at) > 1:
            both = " and ".join(repr(header[place].strip()) for place in at[:2])
            raise IndexFileError(f"{file.shown} row 1: {both} may both be the column {name}.", mend=MEND)
        if at:
            places[name] = at[0]
        elif name in _NEEDED:
            raise IndexFileError(
                f"{file.shown} row 1: column {name} is missing; found {', '.join(header) or 'nothing'}.", mend=MEND
            )
    return places


def _stretch(file: SourceFile, line: int, row: dict[str, str]) -> tuple[float, float | None]:
    start_s = _seconds(file, line, "start", row["start"]) if row.get("start") else 0.0
    if not row.get("end"):
        if row.get("start"):
            raise IndexFileError(
                f"{file.shown} row {line}, column end is empty; a second was expected, or start empty too.", mend=MEND
            )
        return 0.0, None
    end_s = _seconds(file, line, "end", row["end"])
    if end_s <= start_s:
        raise IndexFileError(
            f"{file.shown} row {line}, column end is {row['end']!r}; a second after start was expected.", mend=MEND
        )
    return start_s, end_s


def _seconds(file: SourceFile, line: int, column: str, cell: str) -> float:
    if match := _CLOCK.fullmatch(cell):
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return hours * 3600 + minutes * 60 + seconds
    return number_in(file, line, column, cell, 0.0, _LONGEST_S, mend=MEND)


def _inside(file: SourceFile, line: int, cell: str, audio_folder: Path) -> str:
    """The path relative to the audio folder, by its text: links are looked at where the file is."""
    text = cell.replace("\\", "/")
    if Path(text).is_absolute():
        text = os.path.relpath(os.path.normpath(text), os.path.normpath(audio_folder.absolute()))
    path = PurePosixPath(text)
    if not text or path.name in ("", "..") or ".." in path.parts:
        raise IndexFileError(
            f"{file.shown} row {line}, column path is {cell!r}; a file inside {audio_folder} was expected.",
            mend="Name the folder that holds all the audio with --audio.",
        )
    return str(path)
