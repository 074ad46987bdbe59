"""Files that must be whole and unaltered: sha256 before a parser sees them, atomic writes of files and folders."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from emomusic_edge.errors import EmomusicError

_CHUNK_BYTES = 1 << 20

# linux/fcntl.h and linux/fs.h
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in lower-case hex.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def read_verified(path: Path, sha256: str, error: type[EmomusicError], *, mend: str = "") -> bytes:
    """The bytes of a file, once, only if they hash to `sha256`: what was checked is what is then parsed.

    Raises:
        error: the file is missing, unreadable or another one.
    """
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise error(f"{path} cannot be read: {cause.strerror or cause}.", mend=mend) from cause
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise error(
            f"{path} is not the file its record describes: sha256 {found[:16]}… found, {sha256[:16]}… expected.",
            mend=mend,
        )
    return content


def write_atomic(path: Path, content: bytes | str, *, mode: int = 0o644) -> None:
    """Write a file so that the old one or the new one stands at any moment, and the new one survives power loss.

    Args:
        path: the file; a link's target is written, and a device or pipe is written to as it is.
        content: the whole of it.
        mode: its permissions; 0o600 for what tells of a person.

    Raises:
        OSError: the folder cannot be written; the old file is untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file():
        # A device or a pipe is written to, never replaced.
        path.write_bytes(data)
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@contextlib.contextmanager
def folder_written_whole(target: Path) -> Iterator[Path]:
    """A scratch folder beside `target` that takes its place when the block ends well, and vanishes when it does not.

    The two are exchanged in one step (renameat2), so that a reader, or a machine that loses power, sees the old
    folder or the new one and never none. A file system without that call gets two renames.

    Raises:
        OSError: the parent folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.{os.getpid()}-"))
    scratch.chmod(0o755)
    try:
        yield scratch
        for file in sorted(scratch.rglob("*")):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        _sync_folder(scratch)
        if target.exists():
            _exchange(scratch, target)
        else:
            scratch.rename(target)
        _sync_folder(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _remove_abandoned(target: Path) -> None:
    """Scratch folders of processes that were killed; they bear the process's id."""
    for scratch in target.parent.glob(f".{glob.escape(target.name)}.*-*"):
        process = scratch.name.removeprefix(f".{target.name}.").partition("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists():
            shutil.rmtree(scratch, ignore_errors=True)


def _exchange(scratch: Path, target: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(scratch), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE) == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number), str(target))
    old = scratch.with_name(scratch.name + ".old")
    target.rename(old)
    scratch.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
