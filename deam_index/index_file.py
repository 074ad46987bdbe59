"""The file that carries a music index.

The file is an .npz (`numpy.load` opens it) under three extra rules. Its members are stored, not deflated, and begin at
multiples of 64 bytes: the same index gives the same bytes on every machine, whatever its zlib; no member can expand
beyond the file's own size; and a large file is mapped, not read. Numbers are little-endian. Song ids, titles and files
are texts with a null byte behind each (uint8) and the places of the null bytes (`…_ends`); the rest that is no number
array stands in the member `header`, UTF-8 JSON as uint8.

Files of schema version 1, with the texts in the header, are read too.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticSerializationError

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.errors import IndexFileError

from .mapped import release_pages
from .music_index import ARRAYS, MEND, BrokenRuleError, MusicIndex, check_index
from .stored_npz import (
    MAX_FILE_BYTES,
    PARSE_ERRORS,
    Buffer,
    array_of,
    content_of,
    only_members,
    stored_members,
    write_member,
)
from .text_column import TextColumn

__all__ = ["MusicIndex", "index_bytes", "read_index", "write_index"]

SCHEMA_VERSION = 2

# Of version 1, whose header is parsed as a whole.
_MAX_HEADER_BYTES = 64 << 20

_HEADER = ("|u1", (None,))
_TEXTS = ("song_ids", "titles", "files")
_TEXT_ARRAYS = {
    name: spec for text in _TEXTS for name, spec in ((text, ("|u1", (None,))), (f"{text}_ends", ("<i8", (None,))))
}
_MEMBERS = {1: {**ARRAYS}, 2: {**ARRAYS, **_TEXT_ARRAYS}}


class _Header(BaseModel):
    """The member `header`; the texts stand in it in version 1, and what follows them in version 2."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    schema_version: int
    name: str
    song_ids: list[str] | None = None
    titles: list[str] | None = None
    files: list[str] | None = None
    scale: str | None = None
    window_s: float = 0.0
    hop_s: float = 0.0
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
        scale="valence and arousal, -1..1 each",
        window_s=float(index.window_s),
        hop_s=float(index.hop_s),
        reference_mean=index.reference_mean,
        reference_sd=index.reference_sd,
        provenance=dict(sorted(index.provenance.items())),
    )
    try:
        header_json = header.model_dump_json(exclude_none=True).encode()
        texts = {text: TextColumn.of(getattr(index, text)) for text in _TEXTS}
    except (PydanticSerializationError, UnicodeEncodeError) as cause:
        raise IndexFileError(
            f"index {index.name!r} holds a name that is not UTF-8: {cause}.", mend="Rename the file."
        ) from cause
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        write_member(archive, "header", np.frombuffer(header_json, np.uint8))
        for member, (dtype, _) in ARRAYS.items():
            write_member(archive, member, np.ascontiguousarray(getattr(index, member), dtype))
        for text, column in texts.items():
            write_member(archive, text, column.blob)
            write_member(archive, f"{text}_ends", column.ends.astype("<i8"))
    content = buffer.getvalue()
    if len(content) > MAX_FILE_BYTES:
        raise IndexFileError(f"index {index.name!r} takes {len(content)} bytes; {MAX_FILE_BYTES} are allowed.")
    return content


def read_index(path: Path, *, check: Callable[[Path, Buffer], object] = lambda path, content: None) -> MusicIndex:
    """Read an index file; nothing larger than the file itself is ever allocated, and no pickle is opened.

    The arrays of the result are read-only. A file from MAPPED_BYTES on is mapped: checked once, slice by slice, and
    from then on loaded only where it is touched. It may be replaced meanwhile, as `write_index` does, but not cut.

    Args:
        path: the file.
        check: called with it and its bytes before they are parsed; see emomusic_edge.trust.

    Raises:
        IndexFileError: the file is missing, larger than MAX_FILE_BYTES, no index, of another schema version, broken,
            or breaks a rule of `check_index`.
    """
    content = content_of(path)
    check(path, content)
    try:
        members = stored_members(content)
        header = _header(content, members)
        expected = _MEMBERS[header.schema_version]
        only_members(members, ("header", *expected))
        arrays = {member: array_of(content, members, member, *spec) for member, spec in expected.items()}
        texts = _texts(header, arrays)
    except ValidationError as cause:
        first = cause.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise IndexFileError(f"{path} has a broken header: {place}: {first['msg']}.", mend=MEND) from cause
    except PARSE_ERRORS as cause:
        raise IndexFileError(f"{path} is not a readable music index: {cause}.", mend=MEND) from cause
    index = MusicIndex(
        name=header.name,
        reference_mean=header.reference_mean,
        reference_sd=header.reference_sd,
        provenance=header.provenance,
        window_s=header.window_s,
        hop_s=header.hop_s,
        **{**texts, **{member: arrays[member] for member in ARRAYS}},
    )
    try:
        check_index(index, str(path))
    except UnicodeDecodeError as cause:
        raise IndexFileError(f"{path} holds a name that is not UTF-8: {cause}.", mend=MEND) from cause
    release_pages(index.points)
    return index


def _header(content: Buffer, members: Mapping[str, zipfile.ZipInfo]) -> _Header:
    if "header.npy" not in members:
        raise BrokenRuleError("members missing or unknown: header.npy")
    if members["header.npy"].file_size > _MAX_HEADER_BYTES:
        raise BrokenRuleError(f"its header has more than {_MAX_HEADER_BYTES} bytes")
    header = _Header.model_validate_json(array_of(content, members, "header", *_HEADER).tobytes())
    if header.schema_version not in _MEMBERS:
        raise BrokenRuleError(f"schema version {header.schema_version} found, {SCHEMA_VERSION} expected")
    return header


def _texts(header: _Header, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    found = {}
    for text in _TEXTS:
        listed = getattr(header, text)
        if (listed is None) != (header.schema_version > 1):
            raise BrokenRuleError(f"header: {text} {'missing' if listed is None else 'unexpected'}")
        try:
            found[text] = TextColumn(arrays[text], arrays[f"{text}_ends"]) if listed is None else tuple(listed)
        except ValueError as cause:
            raise BrokenRuleError(f"{text}: {cause}") from None
    return found
