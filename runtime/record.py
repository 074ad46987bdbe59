"""The record of a run: a CSV file with a row a frame, written as it happens and read back by `timeline`."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.artefacts import append_whole
from emomusic_edge.contracts import Source, StateSnapshot, ValenceArousal
from emomusic_edge.disk_trouble import disk_trouble
from emomusic_edge.errors import ConfigError
from emomusic_edge.runtime.kept_trying import RETRY_S

_log = logging.getLogger(__name__)

_SOURCES: tuple[Source, Source] = ("scene", "face")
_NUMBERS = (
    "t_s",
    "face",
    "score",
    *(
        f"{source}_{axis}{kind}"
        for source in (*_SOURCES, "fused")
        for kind in ("", "_variance")
        for axis in ("valence", "arousal")
    ),
    "stable_valence",
    "stable_arousal",
    "held_valence",
    "held_arousal",
    "target_valence",
    "target_arousal",
)
COLUMNS = (*_NUMBERS, "song")
"""People's affect in FindingEmo units (variances in their squares), the target in DEAM units; face and held are 0 or 1;
song is the id of what plays. A cell is empty where there is no value."""


def row_of(snapshot: StateSnapshot, start_s: float = 0.0) -> dict[str, str]:
    """A snapshot as the cells of a row, by column; `t_s` counts from `start_s`."""
    values: dict[str, float | None] = {
        "t_s": snapshot.t_s - start_s,
        "face": int(snapshot.face is not None),
        "score": snapshot.face.score if snapshot.face else None,
    }
    for estimate in snapshot.estimates:
        values |= _pair(estimate.source, estimate.mean) | _pair(estimate.source, estimate.variance, "_variance")
    if snapshot.fused is not None:
        values |= _pair("fused", snapshot.fused.mean) | _pair("fused", snapshot.fused.variance, "_variance")
    if snapshot.stable is not None:
        held = snapshot.stable.held
        values |= _pair("stable", snapshot.stable.mean) | {"held_valence": int(held[0]), "held_arousal": int(held[1])}
    if snapshot.target is not None:
        values |= _pair("target", snapshot.target)
    playing = snapshot.playback.segment
    return {column: _cell(values.get(column)) for column in _NUMBERS} | {"song": playing.song_id if playing else ""}


class RecordWriter:
    """Writes a row a frame; what was written stays when the process is killed.

    The file is readable by its owner alone, since it is a history of feelings. One that stands there is overwritten
    with the first frame, so that a run that never had one costs nobody a record. While the disk refuses, rows are lost
    and `reason` says why; the run goes on, and so does the record as soon as the disk takes it.

    Raises:
        ConfigError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start_s: float | None = None
        self._is_new = not path.exists()
        self.reason = ""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as cause:
            raise ConfigError(
                f"{path} cannot be written: {cause.strerror or cause}.",
                mend="--record takes a file in a folder of yours",
            ) from cause
        # Without a buffer: what the disk refuses must not be tried again with the next row before it.
        self._file = FileIO(descriptor, "w")
        self._whole_bytes = 0
        self._lost_rows = 0
        self._again_at_s = -math.inf

    def write(self, snapshot: StateSnapshot) -> None:
        """Add a row; the first one is at 0 s."""
        if not snapshot.new_frame:
            return
        if self._start_s is None:
            self._start_s = snapshot.t_s
        if snapshot.t_s < self._again_at_s:
            self._lost_rows += 1
            return
        try:
            self._append(row_of(snapshot, self._start_s))
        except OSError as cause:
            self._again_at_s = snapshot.t_s + RETRY_S
            self._lost_rows += 1
            if not self.reason:
                _log.warning("record: rows are lost: %s", disk_trouble(self._path, cause))
            self.reason = f"rows are lost: {disk_trouble(self._path, cause)}"
            return
        if self.reason:
            _log.warning("record: %s is written again; %d rows are missing", self._path, self._lost_rows)
            self._lost_rows = 0
            self.reason = ""

    def close(self) -> None:
        """End the file; one that was made for this run and got no row is removed."""
        # Each row was handed over already: there is nothing more to lose.
        with contextlib.suppress(OSError):
            self._file.close()
        if self._is_new and self._start_s is None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _append(self, row: Mapping[str, str]) -> None:
        text = io.StringIO(newline="")
        rows = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        if not self._whole_bytes:
            rows.writeheader()
        rows.writerow(row)
        data = text.getvalue().encode()
        # A device or a pipe is written to as it is.
        if self._path.is_file():
            if not self._whole_bytes:
                os.fchmod(self._file.fileno(), 0o600)
            if not self._whole_bytes or self.reason:
                # Begun with the first row; of a row that was refused nothing may stand before the next one.
                self._file.truncate(self._whole_bytes)
        append_whole(self._file, data)
        self._whole_bytes += len(data)

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Record:
    """A record read back.

    Attributes:
        columns: float64 [rows] for each column but `song`, NaN where the cell is empty.
        songs: the song id of each row, empty where nothing played.
    """

    columns: Mapping[str, NDArray[np.float64]]
    songs: tuple[str, ...]

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        """One column, float64 [rows]."""
        return self.columns[column]

    def __len__(self) -> int:
        return len(self.songs)


def read_record(path: Path) -> Record:
    """Read what RecordWriter wrote; a last row that a killed run left half-written is passed over.

    Raises:
        ConfigError: the file is missing or unreadable, is no record, or has a row that is none.
    """
    mend = "make a record with `emomusic-edge run --record FILE`"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file, strict=True)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else cause
        raise ConfigError(f"{path} cannot be read as a record: {reason}.", mend=mend) from cause
    if tuple(header) != COLUMNS:
        missing = [column for column in COLUMNS if column not in header]
        raise ConfigError(
            f"{path} is no record of a run: its columns are others (missing: {', '.join(missing) or 'none'}).",
            mend=mend,
        )
    if rows and len(rows[-1]) < len(COLUMNS):
        rows.pop()
    if not rows:
        raise ConfigError(f"{path} is a record without a single row.", mend=mend)
    try:
        numbers = np.array([[float(cell or "nan") for cell in row[:-1]] for row in rows], np.float64)
    except ValueError as cause:
        raise ConfigError(f"{path} has a row that is none of a record: {cause}.", mend=mend) from cause
    if numbers.ndim != 2 or numbers.shape[1] != len(_NUMBERS):
        raise ConfigError(f"{path} has rows of different lengths.", mend=mend)
    return Record(
        columns={column: numbers[:, place] for place, column in enumerate(_NUMBERS)},
        songs=tuple(row[-1] for row in rows),
    )


def _pair(name: str, pair: ValenceArousal, kind: str = "") -> dict[str, float | None]:
    return {f"{name}_valence{kind}": pair.valence, f"{name}_arousal{kind}": pair.arousal}


def _cell(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ""
    # six digits: finer than any model's answer, coarser than float noise
    return str(value) if isinstance(value, int) else f"{value:.6g}" if abs(value) < 1000 else f"{value:.3f}"
