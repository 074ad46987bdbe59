"""The zip that torch.save writes, held to its own size before anything is unpacked."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import IO

# torch.save writes no comment, so that this ends the file: two parsers of zip then agree where its directory stands.
_END_OF_DIRECTORY = struct.Struct("<4s4H2LH")
# A member for each tensor; the largest towers have under a thousand.
_MAX_MEMBERS = 20_000
# Names and shapes, some 200 bytes a tensor; an optimiser's state beside them is larger.
_MAX_PICKLE_BYTES = 64 << 20
_BROKEN = (zipfile.BadZipFile, ValueError, OSError, EOFError, struct.error, LookupError, RuntimeError)


class ArchiveError(Exception):
    """It is no such zip; the message says why."""


def pickle_of(file: IO[bytes], size: int) -> io.BytesIO:
    """The member `data.pkl`, once it is sure that no member expands.

    Args:
        file: the checkpoint.
        size: its bytes.

    Raises:
        ArchiveError: it is no zip, or not one as torch.save writes it.
    """
    try:
        file.seek(max(size - _END_OF_DIRECTORY.size, 0))
        signature, _, _, _, members, directory_bytes, _, comment = _END_OF_DIRECTORY.unpack(file.read())
        if signature != b"PK\x05\x06" or comment:
            raise ArchiveError("its end is missing")
        if members > _MAX_MEMBERS or directory_bytes > size:
            raise ArchiveError(f"it claims {members} members")
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            _hold(infos, size)
            pickles = [info for info in infos if info.filename.rpartition("/")[2] == "data.pkl"]
            if len(pickles) != 1:
                raise ArchiveError(f"{len(pickles)} members are named data.pkl, one was expected")
            if pickles[0].file_size > _MAX_PICKLE_BYTES:
                raise ArchiveError(f"data.pkl has {pickles[0].file_size} bytes")
            return io.BytesIO(archive.read(pickles[0]))
    except _BROKEN as cause:
        raise ArchiveError(str(cause) or type(cause).__name__) from cause


def _hold(infos: list[zipfile.ZipInfo], size: int) -> None:
    if len(infos) > _MAX_MEMBERS:
        raise ArchiveError(f"it has {len(infos)} members")
    if len({info.filename.lower() for info in infos}) != len(infos):
        raise ArchiveError("a member stands in it twice")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ArchiveError(f"member {info.filename[:80]!a} is compressed; torch.save stores them as they are")
    # Members that lie over each other would expand too.
    if sum(info.file_size for info in infos) > size:
        raise ArchiveError(f"its members claim more than its {size} bytes")
