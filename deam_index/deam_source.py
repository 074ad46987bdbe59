"""Finds DEAM's annotation files as people have them: any folder of the download, unpacked or still zipped."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from emomusic_edge.errors import IndexFileError

from .csv_rows import SourceFile, read_source

MEND = (
    "Name DEAM's annotation archive (the .zip, or the folder it unpacks to), or any folder with its `valence.csv` and "
    "`arousal.csv` (dynamic, averaged per song), with --deam."
)

# Of a member unpacked; DEAM's dynamic files have 3.1 MB each.
MAX_FILE_BYTES = 64 << 20

# The features archive, the largest of DEAM's by number, has 1,802 members; all of it unpacked is below this too.
_MAX_MEMBERS = 50_000
_MAX_DEPTH = 8

_SONG_LEVEL = "static_annotations_averaged_songs_"
_METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class DeamFiles:
    """What was found, read.

    Attributes:
        valence, arousal: the dynamic tables; None where there are none, then both.
        song_level: the static tables, averaged per song.
        metadata: the tables of artists and titles.
        notes: what a person should know, e.g. that an archive cannot be read.
    """

    valence: SourceFile | None
    arousal: SourceFile | None
    song_level: tuple[SourceFile, ...] = ()
    metadata: tuple[SourceFile, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    shown: str
    inside: PurePosixPath
    read: Callable[[], bytes]


def find_deam(place: Path) -> DeamFiles:
    """Look for DEAM's tables in a folder and the .zip archives directly in it, or in one .zip archive.

    An archive is read where it is; nothing is unpacked to the disk. Tables that stand there twice with the same bytes,
    in an archive and beside it unpacked, say, count once. Of several archives in a folder, one that cannot be used is
    passed over with a note if the tables stand elsewhere.

    Raises:
        IndexFileError: there are neither dynamic nor static tables, one of the two dynamic ones is missing, there are
            several pairs that differ, or the one archive is broken or holds what no annotation archive does: a member
            that leads out of it, or expands beyond MAX_FILE_BYTES.
    """
    troubles: list[IndexFileError] = []
    if place.is_dir():
        found = _in_folder(place)
        for archive in sorted(place.glob("*.zip")):
            try:
                found += _in_archive(archive)
            except IndexFileError as trouble:
                troubles.append(trouble)
    elif place.is_file():
        found = _in_archive(place)
    else:
        raise IndexFileError(f"{place} is neither a folder nor a .zip archive.", mend=MEND)
    pairs = _pairs(found)
    averaged = [pair for pair in pairs if "averaged per song" in str(pair[0].inside)]
    pair = _the_one(place, averaged or pairs, troubles)
    song_level = _different(file for file in found if file.inside.name.startswith(_SONG_LEVEL))
    if pair is None and not song_level:
        if troubles:
            raise troubles[0]
        raise IndexFileError(f"{place} holds neither valence.csv with arousal.csv nor {_SONG_LEVEL}….csv.", mend=MEND)
    valence, arousal = pair or (None, None)
    return DeamFiles(
        valence,
        arousal,
        song_level,
        _different(file for file in found if file.inside.name.startswith(_METADATA)),
        tuple(_passed_over(place, trouble) for trouble in troubles),
    )


def _passed_over(place: Path, trouble: IndexFileError) -> str:
    """As a note, which goes into the index: without the folder, and without what parts notes."""
    return f"passed over: {str(trouble).replace(f'{place}{os.sep}', '').replace('; ', ', ').rstrip('.')}"


def _the_one(
    place: Path, pairs: list[tuple[_Found, _Found]], troubles: list[IndexFileError]
) -> tuple[SourceFile, SourceFile] | None:
    """The pair, however often it stands there; one that cannot be read is added to the troubles if another can."""
    one: tuple[SourceFile, SourceFile] | None = None
    unread: list[IndexFileError] = []
    for valence, arousal in pairs:
        try:
            pair = _read(valence), _read(arousal)
        except IndexFileError as trouble:
            unread.append(trouble)
            continue
        if one is None:
            one = pair
        elif any(old.sha256 != new.sha256 for old, new in zip(one, pair, strict=True)):
            raise IndexFileError(
                f"{place} holds several pairs of valence.csv and arousal.csv that differ: {one[0].shown}, "
                f"{valence.shown}.",
                mend="Name the folder of one of them with --deam.",
            )
    if one is None and unread:
        raise unread[0]
    troubles += unread
    return one


def _different(files: Iterable[_Found]) -> tuple[SourceFile, ...]:
    """The files, read; of those with one name and the same bytes, the first."""
    kept: dict[tuple[str, str], SourceFile] = {}
    for found in files:
        file = _read(found)
        kept.setdefault((file.name, file.sha256), file)
    return tuple(kept.values())


def _pairs(found: list[_Found]) -> list[tuple[_Found, _Found]]:
    by_place: dict[tuple[str, PurePosixPath], dict[str, _Found]] = {}
    for file in found:
        if file.inside.name in ("valence.csv", "arousal.csv"):
            source = file.shown.removesuffix(str(file.inside))
            by_place.setdefault((source, file.inside.parent), {})[file.inside.name] = file
    for files in by_place.values():
        if len(files) == 1:
            ((name, file),) = files.items()
            other = "arousal.csv" if name == "valence.csv" else "valence.csv"
            raise IndexFileError(f"{file.shown} stands alone; {other} was expected beside it.", mend=MEND)
    return [(files["valence.csv"], files["arousal.csv"]) for files in by_place.values()]


def _wanted(inside: PurePosixPath) -> bool:
    name = inside.name
    return (
        name in ("valence.csv", "arousal.csv") or (name.endswith(".csv") and name.startswith((_SONG_LEVEL, _METADATA)))
    ) and "__MACOSX" not in inside.parts


def _in_folder(folder: Path) -> list[_Found]:
    found = []
    for root, folders, names in os.walk(folder):
        inside = PurePosixPath(Path(root).relative_to(folder).as_posix())
        folders[:] = sorted(folders) if len(inside.parts) < _MAX_DEPTH else []
        for name in sorted(names):
            if _wanted(inside / name):
                path = Path(root) / name
                found.append(_Found(str(path), inside / name, partial(_file_bytes, path)))
    return found


def _file_bytes(path: Path) -> bytes:
    return read_source(path, mend=MEND).content


def _in_archive(path: Path) -> list[_Found]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError) as cause:
        raise IndexFileError(f"{path} is not a readable .zip archive: {cause}.", mend=MEND) from cause
    if len(infos) > _MAX_MEMBERS:
        raise IndexFileError(f"{path} has {len(infos)} members; {_MAX_MEMBERS} are allowed.", mend=MEND)
    found: dict[PurePosixPath, _Found] = {}
    for info in infos:
        inside = PurePosixPath(info.filename)
        if inside.is_absolute() or ".." in inside.parts or "\\" in info.filename:
            raise IndexFileError(
                f"{path} has a member {info.filename!r} that leads out of it; no annotation archive does that.",
                mend=MEND,
            )
        if info.is_dir() or not _wanted(inside):
            continue
        shown = f"{path}:{inside}"
        if inside in found:
            raise IndexFileError(f"{shown} stands in the archive twice.", mend=MEND)
        found[inside] = _Found(shown, inside, partial(_member_bytes, path, info, shown))
    return [found[inside] for inside in sorted(found)]


def _member_bytes(path: Path, info: zipfile.ZipInfo, shown: str) -> bytes:
    try:
        # the size that the archive states may be a lie: what is read is what counts
        with zipfile.ZipFile(path) as archive, archive.open(info) as member:
            content = member.read(MAX_FILE_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, NotImplementedError) as cause:
        raise IndexFileError(f"{shown} cannot be unpacked: {cause}.", mend=MEND) from cause
    if len(content) > MAX_FILE_BYTES:
        raise IndexFileError(f"{shown} expands to more than {MAX_FILE_BYTES >> 20} MB.", mend=MEND)
    return content


def _read(file: _Found) -> SourceFile:
    return SourceFile(file.shown, file.inside.name, file.read())
