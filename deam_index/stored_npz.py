"""An .npz whose members are stored as they are: read without trust, mapped when it is large."""

from __future__ import annotations

import io
import math
import mmap
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.errors import IndexFileError

from .music_index import MEND, BrokenRuleError, shape_text

# 50 million windows of 20 bytes, 4,000 times DEAM: what is larger is no music index.
MAX_FILE_BYTES = 1 << 30

# From here on a file is mapped: reading a smaller one costs less, and it may change on the disk as it likes.
MAPPED_BYTES = 4 << 20

_ALIGNMENT = 64
# The id under which zip aligners pad (APPNOTE 4.5: unknown ids are skipped).
_PADDING_ID = 0xD935
# What numpy writes for an array of plain numbers. numpy itself would hand the text to Python's parser, which warns of
# odd bytes on the screen and takes a megabyte of brackets seriously.
_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_MAX_NPY_HEADER_BYTES = 1 << 10
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|][a-zA-Z][0-9]{1,3})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), \} *\n"
)
_LOCAL_HEADER = struct.Struct("<4s2B4HL2L2H")
_END_OF_DIRECTORY = struct.Struct("<4s4H2LH")

Buffer: TypeAlias = "bytes | mmap.mmap"

# What zipfile and numpy raise on bytes that somebody broke.
PARSE_ERRORS = (
    zipfile.BadZipFile,
    ValueError,
    OSError,
    EOFError,
    struct.error,
    LookupError,
    RuntimeError,
    TypeError,
    OverflowError,
    MemoryError,
)


def content_of(path: Path) -> Buffer:
    """The bytes of a file; mapped, read-only, from MAPPED_BYTES on.

    Raises:
        IndexFileError: it cannot be read, or is no file, or larger than MAX_FILE_BYTES.
    """
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
            if status.st_size >= MAPPED_BYTES:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return file.read(status.st_size)
    except (OSError, ValueError) as cause:  # ValueError: emptied since it was looked at
        told = getattr(cause, "strerror", None) or cause
        raise IndexFileError(f"{path} cannot be read: {told}.", mend=MEND) from cause


def _directory_only(content: Buffer) -> io.IOBase:
    """The buffer as a file, once the zip's directory is known to be short: zipfile would parse a long one whole."""
    signature, *_, entries, size, _, comment = _END_OF_DIRECTORY.unpack(content[-_END_OF_DIRECTORY.size :])
    if signature != b"PK\x05\x06" or comment or entries > 64 or size > 1 << 16:
        raise BrokenRuleError("it does not end as an .npz of a dozen members does")
    return io.BytesIO(content) if isinstance(content, bytes) else _Mapped(content)


class _Mapped(io.RawIOBase):
    """A mapped file as a seekable file for zipfile, without a copy."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = memoryview(content)
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, len(self._content))[whence])
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = len(self._content) if size is None or size < 0 else self._at + size
        part = bytes(self._content[self._at : end])
        self._at += len(part)
        return part


def write_member(archive: zipfile.ZipFile, member: str, array: NDArray[Any]) -> None:
    """Append an array as `member`, so that its numbers begin at a multiple of 64 bytes."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    info = zipfile.ZipInfo(f"{member}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3  # else it tells the platform that wrote it
    info.external_attr = 0o644 << 16
    begin = archive.start_dir + _LOCAL_HEADER.size + len(info.filename) + 4
    padding = -begin % _ALIGNMENT
    info.extra = struct.pack("<2H", _PADDING_ID, padding) + bytes(padding)
    archive.writestr(info, buffer.getvalue())


def stored_members(content: Buffer) -> Mapping[str, zipfile.ZipInfo]:
    """The members by name, once it is sure that none of them expands.

    Raises:
        BrokenRuleError, or one of PARSE_ERRORS: it is no such file.
    """
    with zipfile.ZipFile(_directory_only(content)) as archive:
        infos = archive.infolist()
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        if info.filename in members:
            raise BrokenRuleError(f"member {info.filename} stands in it twice")
        members[info.filename] = info
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise BrokenRuleError(f"member {info.filename} is compressed; an index stores its members as they are")
        if info.file_size > len(content):
            raise BrokenRuleError(f"member {info.filename} claims {info.file_size} bytes in a file of {len(content)}")
        if info.flag_bits & 0x1:
            raise BrokenRuleError(f"member {info.filename} is encrypted")
    return members


def only_members(members: Mapping[str, zipfile.ZipInfo], expected: Iterable[str]) -> None:
    """Hold the members to those expected.

    Raises:
        BrokenRuleError: one is missing or unknown.
    """
    if odd := sorted(members.keys() ^ {f"{name}.npy" for name in expected}):
        raise BrokenRuleError(f"members missing or unknown: {', '.join(odd)}")


def array_of(
    content: Buffer,
    members: Mapping[str, zipfile.ZipInfo],
    member: str,
    dtype: str,
    shape: tuple[int | None, ...],
) -> NDArray[Any]:
    """One member where it stands, its header checked against the bytes that are there before any array is made.

    Raises:
        BrokenRuleError, or one of PARSE_ERRORS: it is damaged, or of another kind.
    """
    data = _member_bytes(content, members[f"{member}.npy"])
    header = bytes(data[: len(_NPY_MAGIC) + 2 + _MAX_NPY_HEADER_BYTES])
    if not header.startswith(_NPY_MAGIC):
        raise BrokenRuleError(f"member {member} is not .npy version 1.0")
    begin = len(_NPY_MAGIC) + 2 + int.from_bytes(header[len(_NPY_MAGIC) : len(_NPY_MAGIC) + 2], "little")
    told = _NPY_HEADER.fullmatch(header, len(_NPY_MAGIC) + 2, begin)
    if told is None or begin > len(data):
        raise BrokenRuleError(f"member {member} has no .npy header as numpy writes it")
    found_dtype, fortran_order = np.dtype(told[1].decode()), told[2] == b"True"
    found_shape = tuple(int(size) for size in told[3].split(b",") if size.strip())
    if found_dtype != np.dtype(dtype):
        raise BrokenRuleError(f"{member} has dtype {found_dtype}, {np.dtype(dtype)} expected")
    if (
        fortran_order
        or len(found_shape) != len(shape)
        or any(want is not None and found != want for found, want in zip(found_shape, shape, strict=True))
    ):
        raise BrokenRuleError(f"{member} has shape {found_shape}, {shape_text(shape)} expected")
    length = math.prod(found_shape)
    if length * found_dtype.itemsize != len(data) - begin:
        raise BrokenRuleError(f"{member} claims {found_shape} but holds {len(data) - begin} bytes")
    return np.frombuffer(data, found_dtype, length, begin).reshape(found_shape)


def _member_bytes(content: Buffer, info: zipfile.ZipInfo) -> memoryview:
    """The bytes of a stored member, its checksum verified slice by slice."""
    begin = info.header_offset
    signature, *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(content[begin : begin + _LOCAL_HEADER.size])
    begin += _LOCAL_HEADER.size
    if signature != b"PK\x03\x04" or content[begin : begin + name_bytes] != info.filename.encode():
        raise BrokenRuleError(f"member {info.filename} is not where the directory says")
    begin += name_bytes + extra_bytes
    data = memoryview(content)[begin : begin + info.file_size]
    checksum = 0
    for first in range(0, len(data), 1 << 20):
        checksum = zlib.crc32(data[first : first + (1 << 20)], checksum)
    if len(data) != info.file_size or checksum != info.CRC:
        raise BrokenRuleError(f"member {info.filename} is damaged: its checksum does not agree")
    return data
