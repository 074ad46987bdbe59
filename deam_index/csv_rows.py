"""Rows and numbers of the CSV files that an index is made from; every complaint names file, row and column."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emomusic_edge.errors import IndexFileError

# DEAM's dynamic files have 3.1 MB each; a table of two million windows may have 200.
MAX_FILE_BYTES = 256 << 20

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was read.

    Attributes:
        shown: how to name it to a person: its path, with `archive.zip:` before what stands in an archive.
        name: its last part.
        content: its bytes.
    """

    shown: str
    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Of the content, in lower-case hex."""
        return hashlib.sha256(self.content).hexdigest()


def read_source(path: Path, *, mend: str) -> SourceFile:
    """Read a file as it is.

    Raises:
        IndexFileError: it cannot be read, is no file, or has more than MAX_FILE_BYTES.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            raise IndexFileError(f"{path} is no file of at most {MAX_FILE_BYTES >> 20} MB.", mend=mend)
        return SourceFile(str(path), path.name, path.read_bytes())
    except OSError as cause:
        raise IndexFileError(f"{path} cannot be read: {cause.strerror or cause}.", mend=mend) from cause


def rows_of(file: SourceFile, *, mend: str, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of its line, counted from 1.

    Raises:
        IndexFileError: it is no CSV in UTF-8.
    """
    try:
        reader = csv.reader(
            io.TextIOWrapper(io.BytesIO(file.content), encoding="utf-8-sig", newline=""), delimiter=delimiter
        )
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except (UnicodeDecodeError, csv.Error) as cause:
        raise IndexFileError(f"{file.shown} is not a CSV file in UTF-8: {cause}.", mend=mend) from cause


def no_cell_beyond(file: SourceFile, line: int, header: Sequence[str], cells: Sequence[str], *, mend: str) -> None:
    """Hold a row to its columns.

    Raises:
        IndexFileError: it has more cells than the header.
    """
    if len(cells) > len(header):
        raise IndexFileError(
            f"{file.shown} row {line} has {len(cells)} cells for {len(header)} columns: column {len(header) + 1} is "
            f"{cells[len(header)]!r}, after the last, {header[-1].strip()!r}.",
            mend=mend,
        )


def song_number(file: SourceFile, line: int, cell: str, *, mend: str, column: str = "song_id") -> int:
    """A song's number.

    Raises:
        IndexFileError: it is none.
    """
    text = cell.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise IndexFileError(
            f"{file.shown} row {line}, column {column} is {cell!r}; a whole number was expected.", mend=mend
        )
    return int(text)


def number_in(file: SourceFile, line: int, column: str, cell: str, low: float, high: float, *, mend: str) -> float:
    """A number of a cell, within bounds.

    Raises:
        IndexFileError: it is none, or out of bounds.
    """
    text = cell.strip()
    if _NUMBER.fullmatch(text) is None or not low <= float(text) <= high:
        raise IndexFileError(
            f"{file.shown} row {line}, column {column} is {cell!r}; a number in {low:g}..{high:g} was expected.",
            mend=mend,
        )
    return float(text)


def is_number(text: str) -> bool:
    """Whether a stripped cell is a plain decimal number."""
    return _NUMBER.fullmatch(text) is not None
