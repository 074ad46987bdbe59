"""One run for each data folder: a lock that the kernel holds, so that it is gone with the process however that ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from emomusic_edge.errors import TwinError

_log = logging.getLogger(__name__)

# A run that is just ending, or a doctor that looks, holds it for a moment.
_PATIENCE_S = 0.5
_AGAIN_S = 0.05
# What flock(2) says of a lock that another holds.
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


@contextlib.contextmanager
def only_run(path: Path) -> Iterator[None]:
    """Hold the lock for as long as this stands.

    The file stays when the lock goes: one that was removed could be locked twice, once under each of two inodes. Where
    it cannot be made or locked at all (a read-only disk, a file system without locks) the run goes on with a warning.

    Args:
        path: the lock's file; made, with its folder, if it is missing.

    Raises:
        TwinError: another run holds it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as cause:
        _log.warning("%s: %s; whether another run goes on is not known", path, cause.strerror or cause)
        yield
        return
    try:
        _take(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def holder(path: Path) -> int | None:
    """The process id of the run that holds the lock; 0 where it is not told, None where nobody holds it.

    Raises:
        OSError: the file may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as cause:
        if cause.errno in _HELD:
            return _told(descriptor)
        raise
    else:
        return None
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as cause:
            if cause.errno not in _HELD:
                _log.warning("%s: %s; whether another run goes on is not known", path, cause.strerror or cause)
                return
        if time.monotonic() >= until_s:
            pid = _told(descriptor)
            raise TwinError(
                f"Another run has the data folder {path.parent}: "
                + (f"process {pid}." if pid else "its process number is not told."),
                mend=(f"Stop it (`kill {pid}`; " if pid else "Stop it (")
                + "the service: `sudo systemctl stop emomusic-edge`), or give this one a data folder of its own: "
                "--set paths.data_dir=FOLDER",
            )
        time.sleep(_AGAIN_S)
    # A full disk must not keep the music off.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _told(descriptor: int) -> int:
    try:
        return int(os.pread(descriptor, 32, 0))
    except (OSError, ValueError):
        return 0
