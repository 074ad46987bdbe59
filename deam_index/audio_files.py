"""Where the audio files of an index are, and nothing outside the folders that were declared for them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from .music_index import MusicIndex

_NO_FILE = (-1, -1)


@dataclass(frozen=True, slots=True)
class AudioRoots:
    """The folders that an index's file names are relative to.

    `deam/2.mp3` is looked for as `2.mp3` in the folder named `deam`, if there is one of that name, else as
    `deam/2.mp3` in `folder`. A link is followed only to where it stays inside the same folder.

    Attributes:
        folder: for all files whose first part is no name in `named`.
        named: further folders by name, as merged indexes need them.
    """

    folder: Path
    named: Mapping[str, Path] = field(default_factory=dict)

    def path_of(self, file: str) -> Path | None:
        """The path of a file of an index; None if it is no file, or leads out of the declared folders."""
        root, inside = self._split(file)
        if not inside or ".." in PurePosixPath(inside).parts or PurePosixPath(inside).is_absolute():
            return None
        try:
            real_root = root.resolve(strict=True)
            found = (real_root / inside).resolve(strict=True)
            if not found.is_relative_to(real_root) or not stat.S_ISREG(found.stat().st_mode):
                return None
        except (OSError, ValueError, RuntimeError):  # missing, a null byte, a loop of links
            return None
        return found

    def place_of(self, file: str) -> Path:
        """Where a file of an index would be, whether it is there or not, and may be played or not."""
        root, inside = self._split(file)
        return root / inside

    def _split(self, file: str) -> tuple[Path, str]:
        first, slash, rest = file.partition("/")
        if slash and first in self.named:
            return self.named[first], rest
        return self.folder, file


def playable_files(index: MusicIndex, roots: AudioRoots) -> NDArray[np.bool_]:
    """Which songs have their audio inside the declared folders: bool [S]."""
    return file_stamps(index, roots)[:, 0] >= 0


def file_stamps(index: MusicIndex, roots: AudioRoots) -> NDArray[np.int64]:
    """Size in bytes and time of change in ns of each song's file: int64 [S, 2], -1 where `path_of` gives none.

    Cheaper than `path_of` for every song: a folder is resolved once, and a file costs one lstat.
    """
    folders: dict[str, tuple[str, bool]] = {}

    def stamp(file: str) -> tuple[int, int]:
        folder, _, name = file.rpartition("/")
        if folder not in folders:
            folders[folder] = _real_folder(roots, folder, file)
        real, inside = folders[folder]
        if not inside:
            return _NO_FILE
        try:
            status = os.lstat(f"{real}/{name}")
            if stat.S_ISLNK(status.st_mode):
                # rare, and where it leads is asked of the strict way
                found = roots.path_of(file)
                return _NO_FILE if found is None else _stamp(found.stat())
        except (OSError, ValueError):
            return _NO_FILE
        return _stamp(status) if stat.S_ISREG(status.st_mode) else _NO_FILE

    return np.fromiter(map(stamp, index.files), np.dtype((np.int64, 2)), index.song_count)


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _real_folder(roots: AudioRoots, folder: str, file: str) -> tuple[str, bool]:
    root, inside = roots._split(file)
    parent = PurePosixPath(inside).parent
    if ".." in parent.parts or parent.is_absolute():
        return "", False
    try:
        real_root = root.resolve(strict=True)
        real = (real_root / parent).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return "", False
    return str(real), real.is_relative_to(real_root)
