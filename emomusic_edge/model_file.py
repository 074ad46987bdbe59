"""A model as a file whose content is checked each time it is opened, without a copy of it in this process.

Hundreds of megabytes that Python holds while a parser makes its own form of them are a large part of a small device's
memory. So the bytes that were hashed go, a piece at a time, into a memory file that nobody can write to any more
(memfd_create(2), sealed), and the parser is given that one's name: what was checked is what is parsed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

from emomusic_edge.artefacts import read_verified
from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import (
    CPU_MODEL_NAME,
    EXTERNAL_DATA,
    MODEL_NAME,
    Manifest,
    ManifestCheck,
    names_external_data,
    read_manifest,
)

# Few and large: after each a thread waits for the interpreter, 5 ms at worst, while others import.
_PIECE_BYTES = 1 << 25


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model that has not been read yet.

    Attributes:
        path: where it lies.
        sha256: what it must hash to.
        mend: the command that would make it, for errors.
        for_cpu: the same model as a processor runs it faster; None where it is this one.
    """

    path: Path
    sha256: str
    mend: str = ""
    for_cpu: ModelFile | None = None

    def check(self) -> None:
        """Hash it, and its form for processors.

        Raises:
            ModelError: one is missing or altered.
        """
        if self.for_cpu is not None:
            self.for_cpu.check()
        with self._file() as file:
            self._check_content(file, lambda buffer, size: None)

    def stamp(self) -> tuple[int, int]:
        """Its size in bytes and when it was last written, ns: while both stay, it was hardly written to.

        Raises:
            ModelError: it is missing.
        """
        try:
            found = self.path.stat()
        except OSError as cause:
            raise self._unreadable(cause) from cause
        return found.st_size, found.st_mtime_ns

    @contextlib.contextmanager
    def opened(self) -> Iterator[str | bytes]:
        """What a parser may be given, for as long as the block lasts: a file's name, or bytes where there is no memfd.

        Raises:
            ModelError: it is missing, altered, or points to data outside itself.
        """
        descriptor = _memory_file()
        if descriptor is None:
            yield self.content()
            return
        try:
            outside = _Finder(EXTERNAL_DATA)

            def take(buffer: bytearray, size: int) -> None:
                _write_all(descriptor, buffer, size)
                outside.look(buffer, size)

            with self._file() as file:
                self._check_content(file, take)
            if outside.found:
                raise self._points_outside()
            _seal(descriptor)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def opened_in_place(self) -> Iterator[str]:
        """As `opened`, for a file that only this package writes, and replaces whole: no memory file stands between.

        Raises:
            ModelError: it is missing or altered.
        """
        with self._file() as file:
            self._check_content(file, lambda buffer, size: None)
            yield f"/proc/self/fd/{file.fileno()}"

    def content(self) -> bytes:
        """Its bytes, for a parser that wants them.

        Raises:
            ModelError: see `opened`.
        """
        content = read_verified(self.path, self.sha256, ModelError, mend=self.mend)
        if names_external_data(content):
            raise self._points_outside()
        return content

    @contextlib.contextmanager
    def _file(self) -> Iterator[FileIO]:
        try:
            file = self.path.open("rb", buffering=0)
        except OSError as cause:
            raise self._unreadable(cause) from cause
        with file:
            yield file

    def _check_content(self, file: FileIO, take: Callable[[bytearray, int], None]) -> None:
        """Hash it, and have each piece taken: the first `size` bytes of a buffer."""
        digest = hashlib.sha256()
        try:
            # One byte more than the file: the end is seen without another round.
            buffer = bytearray(min(os.fstat(file.fileno()).st_size + 1, _PIECE_BYTES))
            while size := file.readinto(buffer):
                with memoryview(buffer) as view:
                    digest.update(view[:size])
                take(buffer, size)
        except OSError as cause:
            raise self._unreadable(cause) from cause
        found = digest.hexdigest()
        if found != self.sha256:
            raise ModelError(
                f"{self.path} is not the file its record describes: sha256 {found[:16]}… found, "
                f"{self.sha256[:16]}… expected.",
                mend=self.mend,
            )

    def _unreadable(self, cause: OSError) -> ModelError:
        return ModelError(f"{self.path} cannot be read: {cause.strerror or cause}.", mend=self.mend)

    def _points_outside(self) -> ModelError:
        return ModelError(
            f"Model {self.path.parent.name} keeps weights in another file, which a bundle may not do.", mend=self.mend
        )


class _Finder:
    """Looks for some bytes in pieces, also where they lie across two of them."""

    def __init__(self, wanted: bytes) -> None:
        self._wanted = wanted
        self._end = b""
        self.found = False

    def look(self, buffer: bytearray, size: int) -> None:
        lap = len(self._wanted) - 1
        seam = self._end + buffer[: min(lap, size)]
        self.found = self.found or self._wanted in seam or buffer.find(self._wanted, 0, size) >= 0
        self._end = (self._end + bytes(buffer[max(size - lap, 0) : size]))[-lap:]


def open_bundle(
    bundle: Path, *, mend: str = "", check: ManifestCheck = lambda path, content: None
) -> tuple[Manifest, ModelFile]:
    """As `read_bundle`, only that its models are not read yet: each is checked when it is opened.

    Args:
        bundle: its folder.
        mend: the command that would make it, for errors.
        check: see `read_manifest`; the manifest's hashes then vouch for the other files.

    Raises:
        ModelError: something is missing, not valid, or altered.
    """
    manifest = read_manifest(bundle, mend=mend, check=check)
    models = {
        name: ModelFile(bundle / name, sha256, mend)
        for name, sha256 in manifest.files.items()
        if name in (MODEL_NAME, CPU_MODEL_NAME)
    }
    for name, sha256 in manifest.files.items():
        if name not in models:
            read_verified(bundle / name, sha256, ModelError, mend=mend)
    return manifest, replace(models[MODEL_NAME], for_cpu=models.get(CPU_MODEL_NAME))


def _memory_file() -> int | None:
    """A memory file that can be sealed; None where the system has none, or forbids it."""
    try:
        return os.memfd_create("model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (AttributeError, OSError):
        return None


def _write_all(descriptor: int, buffer: bytearray, size: int) -> None:
    with memoryview(buffer) as view:
        written = 0
        while written < size:
            written += os.write(descriptor, view[written:size])


def _seal(descriptor: int) -> None:
    import fcntl

    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
