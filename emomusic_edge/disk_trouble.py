"""What a disk that refuses a write is told as: the file, what is wrong, and what mends it, in one line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_MENDS = {
    errno.ENOSPC: "free some space in {folder}",
    errno.EDQUOT: "free some space in {folder}, or raise the quota",
    errno.EROFS: "make {folder} writable again; `dmesg` says why its disk is read-only",
    errno.EIO: "the disk of {folder} fails, see `dmesg`: save what is dear, and replace it",
    errno.EACCES: "let this user write to {folder}",
    errno.EPERM: "let this user write to {folder}",
}


def disk_trouble(path: Path, cause: Exception) -> str:
    """One line, without a full stop: `/data/likes.sqlite: database or disk is full (free some space in /data)`.

    Args:
        path: the file.
        cause: an OSError, or what sqlite3 raised, whose words say less: there the disk itself is asked.
    """
    text = (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
    mend = mend_of(path, cause)
    return f"{path}: {text} ({mend})" if mend else f"{path}: {text}"


def mend_of(path: Path, cause: Exception) -> str:
    """What mends it; empty where that is not known. See `disk_trouble`."""
    number = cause.errno if isinstance(cause, OSError) else _number_of(path.parent, str(cause))
    return _MENDS.get(number or 0, "").format(folder=path.parent)


def _number_of(folder: Path, text: str) -> int | None:
    """The error number behind a message of sqlite3's."""
    if "locked" in text:
        return None
    if "full" in text:
        return errno.ENOSPC
    try:
        found = os.statvfs(folder)
    except OSError as cause:
        return cause.errno
    if found.f_flag & os.ST_RDONLY:
        return errno.EROFS
    if found.f_bavail == 0:
        return errno.ENOSPC
    if "I/O error" in text:
        return errno.EIO
    return None if os.access(folder, os.W_OK) else errno.EACCES
