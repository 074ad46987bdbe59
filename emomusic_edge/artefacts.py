"""Files that must be whole and unaltered: sha256 before a parser sees them, atomic writes of files and folders."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from emomusic_edge.errors import EmomusicError

_CHUNK_BYTES = 1 << 20

# linux/fcntl.h and linux/fs.h
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

# Behind the name of a scratch folder: what stood where it now stands.
_OLD = ".old"
# Behind the name of a file that is being written.
_PART = ".part"


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
    remove_parts(path)
    descriptor, temporary = _new_part(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            # Before it is closed, which lets the lock go.
            temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def remove_parts(path: Path) -> None:
    """Remove what writers of a file left that were killed; that of a living one, which holds its lock, stays."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}{re.escape(_PART)}")
    # What cannot be listed, opened or locked stays: it is no reason not to write.
    with contextlib.suppress(OSError):
        for part in [one for one in path.parent.iterdir() if pattern.fullmatch(one.name)]:
            with contextlib.suppress(OSError):
                descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    part.unlink()
                finally:
                    os.close(descriptor)


def _new_part(path: Path) -> tuple[int, Path]:
    """A file beside `path` that is locked for as long as its descriptor is open."""
    while True:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PART)
        # A file system without locks has nobody who takes it for abandoned either.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        # Somebody took it for abandoned in the moment before it was locked.
        os.close(descriptor)


def append_whole(file: FileIO, data: bytes) -> None:
    """Append to a file that was opened without a buffer: all of it or, where the disk refuses, nothing.

    Raises:
        OSError: it was refused. Where even that could not be undone, a part stands at the end.
    """
    begin = file.seek(0, os.SEEK_END) if file.seekable() else None
    try:
        written = 0
        while written < len(data):
            written += file.write(data[written:])
    except OSError:
        if begin is not None:
            with contextlib.suppress(OSError):
                file.truncate(begin)
        raise


@contextlib.contextmanager
def folder_written_whole(target: Path) -> Iterator[Path]:
    """A scratch folder beside `target` that takes its place when the block ends well, and vanishes when it does not.

    The two are exchanged in one step (renameat2), so that a reader, or a machine that loses power, sees the old
    folder or the new one and never none. A file system without that call gets two renames; who is killed between them
    leaves the old folder under another name, and `restore_interrupted` brings it back.

    Raises:
        OSError: the parent folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    restore_interrupted(target)
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


def restore_interrupted(target: Path) -> None:
    """Bring back the old folder where a write was killed between its two renames; of no effect where `target` stands.

    It may be called by anybody who misses `target`: a writer that is only just between its renames notices.
    """
    # Somebody else brought it back, or the parent folder may not be written, or not even be read.
    with contextlib.suppress(OSError):
        if target.exists():
            return
        kept = [folder for folder, _ in _left_over(target) if folder.name.endswith(_OLD)]
        if kept:
            # One that an earlier write did not come to remove is older than the one that was moved away last.
            max(kept, key=lambda folder: folder.stat().st_mtime_ns).rename(target)


def _remove_abandoned(target: Path) -> None:
    """Remove what killed processes left; that of a living one, or of one whose id came back, is left alone."""
    left_over = _left_over(target)
    if not target.exists() and any(folder.name.endswith(_OLD) for folder, _ in left_over):
        # What could not be restored is all that there is.
        return
    for folder, process in left_over:
        if not Path("/proc", process).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _left_over(target: Path) -> list[tuple[Path, str]]:
    """The scratch and old folders of `target`, each with the id of the process that made it."""
    # The end is that of tempfile.mkdtemp; other names may begin like this one.
    pattern = re.compile(rf"\.{re.escape(target.name)}\.(\d+)-[a-z0-9_]{{8}}(?:{re.escape(_OLD)})?")
    try:
        found = [(path, pattern.fullmatch(path.name)) for path in target.parent.iterdir()]
    except OSError:
        return []
    return [(path, match[1]) for path, match in found if match is not None]


def _exchange(scratch: Path, target: Path) -> None:
    number = _exchange_in_one_step(scratch, target)
    if number == 0:
        return
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number), str(target))
    old = scratch.with_name(scratch.name + _OLD)
    for last in (False, True):
        target.rename(old)
        try:
            scratch.rename(target)
        except OSError as cause:
            restore_interrupted(target)
            # A reader may have missed the folder at just that moment, and brought it back.
            if last or cause.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            break
    shutil.rmtree(old, ignore_errors=True)


def _exchange_in_one_step(one: Path, other: Path) -> int:
    """Exchange two folders; the error number, 0 when it was done."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return 0 if done == 0 else ctypes.get_errno()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
