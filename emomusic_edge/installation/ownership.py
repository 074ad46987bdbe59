"""Whether somebody other than root could change what root is about to run."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Collection
from pathlib import Path

_ROOT_ALONE = frozenset({0})
# As the kernel: more links than that are taken for a circle.
_LINKS_AT_MOST = 40


def changeable(path: Path, *, root: Path | None = None, owners: Collection[int] = _ROOT_ALONE) -> str:
    """What of a path, of the folders above it and of the links on its way belongs to others or can be written by them.

    Args:
        path: an absolute path, as the system below the root names it.
        root: the system below this folder is meant; links of it are followed inside it, as that system would.
        owners: the user ids that may own it.

    Returns:
        The first such thing, in words; empty where there is none, or nothing is there, or there is no right to look.
    """
    here = top = root or Path("/")
    rest = list(path.relative_to("/").parts)
    links = 0
    while rest:
        name = rest.pop(0)
        if name == "..":
            here = here if here == top else here.parent
            continue
        found = here / name
        try:
            entry = found.lstat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return ""
        if entry.st_uid not in owners:
            return f"{found} belongs to {_name(entry.st_uid)}"
        if stat.S_ISLNK(entry.st_mode):
            links += 1
            if links > _LINKS_AT_MOST:
                return f"{found} is a link that leads in a circle"
            target = found.readlink()
            here = top if target.is_absolute() else here
            rest = [part for part in target.parts if part != "/"] + rest
            continue
        if entry.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"{found} can be written by others (mode {stat.S_IMODE(entry.st_mode):o})"
        here = found
    return ""


def changeable_environment(environment: Path, *, root: Path | None = None) -> str:
    """The same for a Python environment: its folders, its program, and the Python that it leads to.

    Below another root the one who prepares it may own it too.
    """
    owners = _ROOT_ALONE if root is None else _ROOT_ALONE | {os.geteuid()}
    there = (root or Path("/")) / environment.relative_to("/")
    parts = (
        *(environment, environment / "pyvenv.cfg", environment / "bin" / "python", environment / "bin/emomusic-edge"),
        *(environment / place.relative_to(there) for place in there.glob("lib/python*/site-packages")),
    )
    return next(filter(None, (changeable(part, root=root, owners=owners) for part in parts)), "")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user id {uid}"
