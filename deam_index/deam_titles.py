"""Reads artists and titles from DEAM's metadata files.

Each of the three has columns of its own: 2013 `song_id, file_name, Artist, Song title, …`, 2014 `Id, Artist, Album,
Track, …` with any number of listener tags behind, 2015 `id, Filename, title, artist, album, …` (as programs that read
them name the columns; the files themselves were not at hand). Cells carry tabs, quotes and no-break spaces.
"""

from __future__ import annotations

from collections.abc import Iterable

from emomusic_edge.errors import IndexFileError

from .csv_rows import SourceFile, rows_of
from .deam_source import MEND

_SONG = ("song_id", "id")
_TITLE = ("song title", "track", "title")
_ARTIST = ("artist",)
_NOTHING = {"", "n/a", "nan", "unknown", "<unknown>"}


def read_titles(files: Iterable[SourceFile]) -> tuple[dict[int, str], tuple[str, ...]]:
    """What to show for each song, and notes.

    The names are for people only, so whatever cannot be read is left out: a row that is none, a file of other columns
    (with a note).

    Returns:
        `Artist – Title`, or the one of them that is there, by song; and what a person should know.
    """
    titles: dict[int, str] = {}
    notes = []
    for file in files:
        try:
            titles.update(_titles_of(SourceFile(file.shown, file.name, _as_utf8(file.content))))
        except (IndexFileError, LookupError) as cause:
            notes.append(f"{file.name} gave no titles: {cause}")
    return titles, tuple(notes)


def shown_title(artist: str, title: str) -> str:
    """`Artist – Title`, or the one of them that is there."""
    return " – ".join(part for part in (artist, title) if part)


def plain(text: str) -> str:
    """A cell or tag as a name: control characters and runs of blanks become one space; quotes around it go."""
    readable = "".join(" " if ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 else letter for letter in text)
    cleaned = " ".join(readable.split()).strip("\"' ")
    return "" if cleaned.casefold() in _NOTHING else cleaned


def _titles_of(file: SourceFile) -> dict[int, str]:
    rows = rows_of(file, mend=MEND)
    header = [plain(name).casefold() for name in next(rows, (1, []))[1]]
    song, artist, title = (
        next((header.index(name) for name in names if name in header), None) for names in (_SONG, _ARTIST, _TITLE)
    )
    if song is None or (artist is None and title is None):
        raise LookupError("no columns for song, artist and title in it")
    found: dict[int, str] = {}
    for _, cells in rows:
        number = cells[song].strip() if song < len(cells) else ""
        if not (number.isascii() and number.isdecimal() and len(number) <= 9):
            continue
        parts = [plain(cells[place]) if place is not None and place < len(cells) else "" for place in (artist, title)]
        if shown := shown_title(*parts):
            found[int(number)] = shown
    return found


def _as_utf8(content: bytes) -> bytes:
    """Some copies are in Latin-1; names are read from these too."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1").encode()
    return content
