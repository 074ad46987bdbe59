"""The file beside a merged index that says where the audio of each of its parts is: `my.npz`, `my.audio.toml`.

A line a folder, `deam = "/home/me/Music/deam"`; a relative path starts at the file. It belongs to the machine, and not
into the index: an index of somebody else's must not name folders here.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.errors import IndexFileError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SUFFIX = ".audio.toml"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MAX_BYTES = 1 << 20


def roots_file_of(index_file: Path) -> Path:
    """`my.npz` -> `my.audio.toml`."""
    return index_file.with_suffix(SUFFIX)


def read_roots(index_file: Path) -> dict[str, Path]:
    """The folders by name; none if there is no such file.

    Raises:
        IndexFileError: it cannot be read, or holds anything but names and paths.
    """
    path = roots_file_of(index_file)
    if not path.is_file():
        return {}
    mend = 'Write a line for each folder, such as `deam = "/home/me/Music/deam"`, or merge the indexes again.'
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise IndexFileError(f"{path} has more than {_MAX_BYTES} bytes.", mend=mend)
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as cause:
        raise IndexFileError(f"{path} cannot be read: {cause}.", mend=mend) from cause
    roots = {}
    for name, folder in table.items():
        if NAME.fullmatch(name) is None or not isinstance(folder, str) or not folder or "\0" in folder:
            raise IndexFileError(
                f"{path}: {name} = {folder!r}; a name and the path of a folder were expected.", mend=mend
            )
        roots[name] = path.parent / Path(folder).expanduser()
    return roots


def write_roots(index_file: Path, roots: Mapping[str, Path]) -> Path:
    """Write the file; its path.

    Raises:
        IndexFileError: it cannot be written.
    """
    path = roots_file_of(index_file)
    lines = [f"{name} = {json.dumps(str(folder.absolute()), ensure_ascii=False)}" for name, folder in roots.items()]
    try:
        write_atomic(path, "# Where the audio of each part of the merged index is.\n" + "\n".join(lines) + "\n")
    except OSError as cause:
        raise IndexFileError(f"{path} cannot be written: {cause.strerror or cause}.") from cause
    return path
