"""Which of the video devices this user may open, and the group that may."""

from __future__ import annotations

import grp
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .system import user_name


@dataclass(frozen=True, slots=True)
class Access:
    """What keeps this user from the cameras.

    Attributes:
        closed: the devices that may not be opened; empty when all may.
        group: the group whose members may.
        in_group_after_login: whether the user is in that group, only not yet in this session.
    """

    closed: tuple[str, ...] = ()
    group: str = "video"
    in_group_after_login: bool = False


def _may_open(node: Path) -> bool:
    return os.access(node, os.R_OK | os.W_OK)


def access(dev: Path = Path("/dev"), may_open: Callable[[Path], bool] = _may_open) -> Access:
    """Look at the modes and groups of all video devices.

    Args:
        dev: the folder of the devices.
        may_open: whether this user may open one.
    """
    closed = [node for node in sorted(dev.glob("video[0-9]*")) if not may_open(node)]
    if not closed:
        return Access()
    number = closed[0].stat().st_gid
    group = _group(number)
    names = group.gr_mem if group is not None else []
    later = user_name(os.geteuid()) in names and number not in os.getgroups()
    return Access(tuple(map(str, closed)), group.gr_name if group is not None else f"{number}", later)


def _group(number: int) -> grp.struct_group | None:
    try:
        return grp.getgrgid(number)
    except KeyError:
        return None
