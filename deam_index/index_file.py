"""The file that carries a music index.

The file is an .npz (`numpy.load` opens it) under three extra rules. Its members are stored, not deflated: the same
index gives the same bytes on every machine, whatever its zlib, and no member can expand beyond the file's own size.
Numbers are little-endian. Everything that is no number array stands in the member `header`, UTF-8 JSON as uint8.
"""

from __future__ import annotations

import io
import math
import stat
import struct
import tokenize
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticSerializationError

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.errors import IndexFileError

from .music_index import ARRAYS, MEND, BrokenRuleError, MusicIndex, check_index, shape_text

__all__ = ["MusicIndex", "index_bytes", "read_index", "write_index"]

SCHEMA_VERSION = 1

# 3 million windows of 20 bytes, 200 times DEAM: what is larger is no music index.
MAX_FILE_BYTES = 64 << 20

_HEADER = ("|u1", (None,))

# What zipfile, numpy and the Python parser it hands array headers to raise on bytes that somebody broke.
_PARSE_ERRORS = (
    zipfile.BadZipFile,
    ValueError,
    OSError,
    EOFError,
    struct.error,
    LookupError,
    RuntimeError,
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    OverflowError,
    MemoryError,
)


class _Header(BaseModel):
    """The member `header`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    schema_version: int
    name: str
    song_ids: list[str]
    titles: list[str]
    files: list[str]
    reference_mean: ValenceArousal
    reference_sd: ValenceArousal
    provenance: dict[str, str]


def write_index(path: Path, index: MusicIndex) -> None:
    """Write an index file atomically; equal indexes give equal bytes.

    Raises:
        IndexFileError: the index breaks a rule of `check_index`, or the folder cannot be written.
    """
    content = index_bytes(index)
    try:
        write_atomic(path, content)
    except OSError as cause:
        raise IndexFileError(f"{path} cannot be written: {cause.strerror or cause}.") from cause


def index_bytes(index: MusicIndex) -> bytes:
    """The bytes that `write_index` writes.

    Raises:
        IndexFileError: the index breaks a rule of `check_index`.
    """
    check_index(index, f"index {index.name!r}")
    header = _Header(
        schema_version=SCHEMA_VERSION,
        name=index.name,
        song_ids=list(index.song_ids),
        titles=list(index.titles),
        files=list(index.files),
        reference_mean=index.reference_mean,
        reference_sd=index.reference_sd,
        provenance=dict(sorted(index.provenance.items())),
    )
    try:
        header_json = header.model_dump_json().encode()
    except (PydanticSerializationError, UnicodeEncodeError) as cause:
        raise IndexFileError(
            f"index {index.name!r} holds a name that is not UTF-8: {cause}.", mend="Rename the file."
        ) from cause
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _write_member(archive, "header", np.frombuffer(header_json, np.uint8))
        for member, (dtype, _) in ARRAYS.items():
            _write_member(archive, member, np.ascontiguousarray(getattr(index, member), dtype))
    content = buffer.getvalue()
    if len(content) > MAX_FILE_BYTES:
        raise IndexFileError(f"index {index.name!r} takes {len(content)} bytes; {MAX_FILE_BYTES} are allowed.")
    return content


def read_index(path: Path) -> MusicIndex:
    """Read an index file; nothing larger than the file itself is ever allocated, and no pickle is opened.

    The arrays of the result are read-only.

    Raises:
        IndexFileError: the file is missing, larger than MAX_FILE_BYTES, no index, of another schema version, broken,
            or breaks a rule of `check_index`.
    """
    content = _content(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = _stored_members(archive, len(content))
            header = _Header.model_validate_json(_array(archive, members, "header", *_HEADER).tobytes())
            if header.schema_version != SCHEMA_VERSION:
                raise BrokenRuleError(f"schema version {header.schema_version} found, {SCHEMA_VERSION} expected")
            arrays: dict[str, NDArray[Any]] = {
                member: _array(archive, members, member, dtype, shape) for member, (dtype, shape) in ARRAYS.items()
            }
    except ValidationError as cause:
        first = cause.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise IndexFileError(f"{path} has a broken header: {place}: {first['msg']}.", mend=MEND) from cause
    except _PARSE_ERRORS as cause:
        raise IndexFileError(f"{path} is not a readable music index: {cause}.", mend=MEND) from cause
    index = MusicIndex(
        name=header.name,
        song_ids=tuple(header.song_ids),
        titles=tuple(header.titles),
        files=tuple(header.files),
        reference_mean=header.reference_mean,
        reference_sd=header.reference_sd,
        provenance=header.provenance,
        **arrays,
    )
    check_index(index, str(path))
    return index


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        # a pipe or a device would block, or never end
        if not stat.S_ISREG(status.st_mode):
            raise IndexFileError(f"{path} is not a file; a music index (.npz) was expected.", mend=MEND)
        if status.st_size > MAX_FILE_BYTES:
            raise IndexFileError(
                f"{path} has {status.st_size} bytes; a music index has at most {MAX_FILE_BYTES}.", mend=MEND
            )
        with path.open("rb") as file:
            return file.read(status.st_size)
    except OSError as cause:
        raise IndexFileError(f"{path} cannot be read: {cause.strerror or cause}.", mend=MEND) from cause


def _write_member(archive: zipfile.ZipFile, member: str, array: NDArray[Any]) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    info = zipfile.ZipInfo(f"{member}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3  # else it tells the platform that wrote it
    info.external_attr = 0o644 << 16
    archive.writestr(info, buffer.getvalue())


def _stored_members(archive: zipfile.ZipFile, file_bytes: int) -> Mapping[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in members:
            raise BrokenRuleError(f"member {info.filename} stands in it twice")
        members[info.filename] = info
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise BrokenRuleError(f"member {info.filename} is compressed; an index stores its members as they are")
        if info.file_size > file_bytes:
            raise BrokenRuleError(f"member {info.filename} claims {info.file_size} bytes in a file of {file_bytes}")
    expected = {f"{name}.npy" for name in ("header", *ARRAYS)}
    if members.keys() != expected:
        odd = ", ".join(sorted(members.keys() ^ expected))
        raise BrokenRuleError(f"members missing or unknown: {odd}")
    return members


def _array(
    archive: zipfile.ZipFile,
    members: Mapping[str, zipfile.ZipInfo],
    member: str,
    dtype: str,
    shape: tuple[int | None, ...],
) -> NDArray[Any]:
    """One member, its header checked against the bytes that are there before any array is made."""
    data = archive.read(members[f"{member}.npy"])  # zipfile checks the CRC
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise BrokenRuleError(f"member {member} is not .npy version 1.0")
    found_shape, fortran_order, found_dtype = np.lib.format.read_array_header_1_0(stream)
    if found_dtype != np.dtype(dtype):
        raise BrokenRuleError(f"{member} has dtype {found_dtype}, {np.dtype(dtype)} expected")
    if (
        fortran_order
        or len(found_shape) != len(shape)
        or any(want is not None and found != want for found, want in zip(found_shape, shape, strict=True))
    ):
        raise BrokenRuleError(f"{member} has shape {found_shape}, {shape_text(shape)} expected")
    length = math.prod(found_shape)
    if length * found_dtype.itemsize != len(data) - stream.tell():
        raise BrokenRuleError(f"{member} claims {found_shape} but holds {len(data) - stream.tell()} bytes")
    return np.frombuffer(data, found_dtype, length, stream.tell()).reshape(found_shape)
