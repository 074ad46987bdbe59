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

    def _split(self, file: str) -> tuple[Path, str]:
        first, slash, rest = file.partition("/")
        if slash and first in self.named:
            return self.named[first], rest
        return self.folder, file


def playable_files(index: MusicIndex, roots: AudioRoots) -> NDArray[np.bool_]:
    """Which songs have their audio inside the declared folders: bool [S].

    Cheaper than `path_of` for every song: a folder is resolved once, and a file costs one lstat.
    """
    folders: dict[str, tuple[str, bool]] = {}

    def there(file: str) -> bool:
        folder, _, name = file.rpartition("/")
        if folder not in folders:
            folders[folder] = _real_folder(roots, folder, file)
        real, inside = folders[folder]
        if not inside:
            return False
        try:
            mode = os.lstat(f"{real}/{name}").st_mode
        except (OSError, ValueError):
            return False
        # a link is rare, and where it leads is asked of the strict way
        return stat.S_ISREG(mode) or (stat.S_ISLNK(mode) and roots.path_of(file) is not None)

    return np.fromiter((there(file) for file in index.files), np.bool_, index.song_count)


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
