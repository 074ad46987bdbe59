"""Room and write access where data and cache lie."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .finding import About, Finding
from .setup import Setup
from .system import is_there, user_name

# Seen with `du`: the starter bundles 3 MB, the starter music 20, what is fetched 9, the optimised graphs 3.
_STARTER_SET_MB = 35
# Below this not even likes are sure to be kept.
_NEXT_TO_NOTHING_MB = 5

_about = About("disk")


def _write(folder: Path) -> None:
    """Write a few bytes that leave nothing behind.

    Raises:
        OSError: the folder takes none.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"emomusic-edge doctor")
        file.flush()
        os.fsync(file.fileno())


def look(setup: Setup, write: Callable[[Path], None] = _write) -> Iterator[Finding]:
    """Both folders; of one that is not there yet, the nearest one above it.

    Args:
        setup: where they are.
        write: tries to write into a folder.
    """
    paths = setup.settings.paths
    yield _folder("data", paths.data_dir, "Likes, calibrations and models cannot be kept.", write)
    yield _folder(
        "cache", paths.cache_dir, "Fetched files cannot be kept, and models load slower at each start.", write
    )


def _folder(name: str, folder: Path, lost: str, write: Callable[[Path], None]) -> Finding:
    place = folder
    while not is_there(place) and place != place.parent:
        place = place.parent
    where = f"the {name} folder {folder}"
    able = "can be written" if place == folder else "is not there yet, and can be made"
    if not place.is_dir():
        return _about.problem(
            name,
            f"{where}: {place} is a file",
            meaning=lost,
            mend=f"Move that file away, or set paths.{name}_dir",
        )
    free_mb = _free_mb(place)
    try:
        write(place)
    except OSError as cause:
        full = free_mb < 1
        return _about.problem(
            name,
            f"{where} cannot be written: {cause.strerror or cause}",
            meaning=f"{lost} The music plays all the same.",
            mend=_ROOM if full else _mend(name, folder, place),
            free_mb=free_mb,
            writable=False,
        )
    if free_mb < _NEXT_TO_NOTHING_MB:
        return _about.problem(
            name, f"{where} has {free_mb} MB of room", meaning=lost, mend=_ROOM, free_mb=free_mb, writable=True
        )
    if free_mb < _STARTER_SET_MB:
        return _about.warning(
            name,
            f"{where} has {free_mb} MB of room",
            meaning=f"The starter models and music take about {_STARTER_SET_MB} MB.",
            mend=_ROOM,
            free_mb=free_mb,
            writable=True,
        )
    return _about.ok(name, f"{where} {able}; {_size(free_mb)} of room", free_mb=free_mb, writable=True)


_ROOM = "Make room there: `df -h`, then `du -xh --max-depth=2 / | sort -h | tail`"


def _mend(name: str, folder: Path, place: Path) -> str:
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return f"That disk is mounted read-only (`sudo dmesg | tail` tells why); paths.{name}_dir may name another"
    user = user_name(os.geteuid())
    give = f"sudo chown {user} {folder}" if place == folder else f"sudo install -d -o {user} {folder}"
    return f"`{give}`, or set paths.{name}_dir"


def _free_mb(place: Path) -> int:
    room = os.statvfs(place)
    return room.f_bavail * room.f_frsize // 2**20 if room.f_favail or not room.f_files else 0


def _size(mb: int) -> str:
    return f"{mb} MB" if mb < 2048 else f"{mb / 1024:.0f} GB"
