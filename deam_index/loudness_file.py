"""The file beside an index that holds what was measured of each audio file, a line each.

JSON lines: the first names the measure, each further one a file with its size and time of change, and its loudness or
why it has none. Lines are appended as they come, so that a run that is killed loses none but the last; of several
lines for one file the last counts.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.artefacts import append_whole, write_atomic
from emomusic_edge.disk_trouble import mend_of
from emomusic_edge.errors import IndexFileError

from .audio_files import AudioRoots, file_stamps
from .loudness import CEILING_DBTP, TARGET_LUFS, Loudness, gain_db
from .music_index import MusicIndex

SUFFIX = ".loudness.jsonl"
_FIRST_LINE = {"schema_version": 1, "measure": "ITU-R BS.1770-4 integrated loudness (LUFS) and true peak (dBTP)"}
_MEND = "Measure again with `emomusic-edge index loudness --again`."


@dataclass(frozen=True, slots=True)
class Measured:
    """One line.

    Attributes:
        file: as the index names it.
        size_bytes, changed_ns: of the file when it was measured.
        loudness: None if it does not decode.
        trouble: why not.
    """

    file: str
    size_bytes: int
    changed_ns: int
    loudness: Loudness | None
    trouble: str = ""


def loudness_file_of(index_file: Path) -> Path:
    """`my-music.npz` -> `my-music.loudness.jsonl`."""
    return index_file.with_suffix(SUFFIX)


def read_lines(path: Path) -> Iterator[Measured]:
    """The lines of a loudness file; none if there is no file. A torn or strange line is passed over.

    Raises:
        IndexFileError: it cannot be read, or its first line is not that of a loudness file.
    """
    try:
        with path.open("rb") as file:
            first = file.readline(1 << 16)
            if first and _parsed(first).get("schema_version") != _FIRST_LINE["schema_version"]:
                raise IndexFileError(f"{path} is not a loudness file of this version.", mend=_MEND)
            while line := file.readline(1 << 16):
                if (measured := _measured(_parsed(line))) is not None:
                    yield measured
    except FileNotFoundError:
        return
    except OSError as cause:
        raise IndexFileError(f"{path} cannot be read: {cause.strerror or cause}.") from cause


def song_gains_db(
    index: MusicIndex,
    path: Path,
    roots: AudioRoots | None = None,
    *,
    target_lufs: float = TARGET_LUFS,
    ceiling_dbtp: float = CEILING_DBTP,
) -> NDArray[np.float32]:
    """The gain of each song of an index: float32 [S], in dB.

    A song that was not measured, does not decode, or whose file is not the one that was measured gets the median gain
    of the others, at most 0 dB: beside songs that were brought down it would jump out. Where nothing was measured all
    are played as they are.

    Args:
        index: whose songs.
        path: the loudness file; none means that nothing was measured.
        roots: where the songs are, to compare size and time of each file with its line; None believes the lines.
        target_lufs: as of `gain_db`.
        ceiling_dbtp: as of `gain_db`.

    Raises:
        IndexFileError: as of `read_lines`.
    """

    def row(line: Measured) -> tuple[int, int, int, float]:
        gain = math.nan
        if line.loudness is not None:
            lufs, peak = line.loudness.integrated_lufs, line.loudness.true_peak_dbtp
            gain = gain_db(lufs, peak, target_lufs=target_lufs, ceiling_dbtp=ceiling_dbtp)
        return _key(line.file), line.size_bytes, line.changed_ns, gain

    # arrays of numbers in place of a dictionary of 200,000 names
    fields = [("key", "u8"), ("size_bytes", "i8"), ("changed_ns", "i8"), ("gain", "f4")]
    lines = np.fromiter((row(line) for line in read_lines(path)), np.dtype(fields))
    if not len(lines):
        return np.zeros(index.song_count, np.float32)
    lines = lines[np.argsort(lines["key"], kind="stable")]
    keys = np.fromiter(map(_key, index.files), np.uint64, index.song_count)
    # of several lines for one file the last
    of_song = lines[np.maximum(np.searchsorted(lines["key"], keys, "right") - 1, 0)]
    measured = (of_song["key"] == keys) & ~np.isnan(of_song["gain"])
    if roots is not None:
        sizes_bytes, changed_ns = file_stamps(index, roots).T
        measured &= (of_song["size_bytes"] == sizes_bytes) & (of_song["changed_ns"] == changed_ns)
    gains = of_song["gain"]
    others = min(0.0, float(np.median(gains[measured]))) if measured.any() else 0.0
    return np.where(measured, gains, np.float32(others))


class LoudnessWriter:
    """Appends lines to a loudness file, alone: another writer is told to wait its turn."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin it.

        Raises:
            IndexFileError: it cannot be written, or somebody else is writing it.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            self._file.close()
            raise IndexFileError(f"{path} is being written by another run.", mend="Let that one end.") from cause
        except OSError as cause:
            raise IndexFileError(
                f"{path} cannot be written: {cause.strerror or cause}.", mend="Name another place with --out."
            ) from cause
        try:
            with self._worded():
                self._end_torn_line()
        except IndexFileError:
            self._file.close()
            raise

    def __enter__(self) -> LoudnessWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def begin_anew(self) -> None:
        """Forget all that stands in the file.

        Raises:
            IndexFileError: as of `add`.
        """
        with self._worded():
            self._file.truncate(0)
            append_whole(self._file, _line(_FIRST_LINE))

    def add(self, measured: Measured) -> None:
        """Append a line; it is in the system's hands when this returns.

        Raises:
            IndexFileError: the disk refuses it; the lines before it stand.
        """
        with self._worded():
            append_whole(self._file, _line(_fields(measured)))

    def compact(self, wanted: Mapping[str, Measured]) -> None:
        """Put a file of just these lines in the place of this one, whole or not at all.

        Raises:
            IndexFileError: the disk refuses it; the file stands as it was.
        """
        with self._worded():
            write_atomic(self._path, _line(_FIRST_LINE) + b"".join(_line(_fields(one)) for one in wanted.values()))

    def _end_torn_line(self) -> None:
        """Begin the file, or end the line that a killed run left torn."""
        size = self._file.seek(0, os.SEEK_END)
        if size == 0:
            append_whole(self._file, _line(_FIRST_LINE))
            return
        self._file.seek(size - 1)
        if self._file.read(1) != b"\n":
            append_whole(self._file, b"\n")

    @contextlib.contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except OSError as cause:
            raise IndexFileError(
                f"{self._path} cannot be written: {cause.strerror or cause}; what was measured until then is kept.",
                mend=f"First {mend_of(self._path, cause) or 'see `dmesg`'}; the same command goes on from there.",
            ) from cause


def _fields(measured: Measured) -> dict[str, Any]:
    fields: dict[str, Any] = {"file": measured.file, "bytes": measured.size_bytes, "changed_ns": measured.changed_ns}
    if measured.loudness is None:
        return {**fields, "trouble": measured.trouble}
    lufs, peak = measured.loudness.integrated_lufs, measured.loudness.true_peak_dbtp
    return {**fields, "lufs": _finite(lufs), "true_peak_dbtp": _finite(peak)}


def _finite(value: float) -> float | None:
    """JSON has no -inf: null stands for silence."""
    return round(value, 3) if math.isfinite(value) else None


def _measured(fields: Mapping[str, Any]) -> Measured | None:
    try:
        file, size, changed = fields["file"], fields["bytes"], fields["changed_ns"]
        if not (isinstance(file, str) and _is_int64(size) and _is_int64(changed)):
            return None
        if "trouble" in fields:
            return Measured(file, size, changed, None, str(fields["trouble"]))
        lufs, peak = (-math.inf if fields[name] is None else float(fields[name]) for name in ("lufs", "true_peak_dbtp"))
    except (KeyError, TypeError, ValueError):
        return None
    return Measured(file, size, changed, Loudness(lufs, peak))


def _is_int64(value: object) -> bool:
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _key(file: str) -> int:
    return int.from_bytes(hashlib.blake2b(file.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
