"""The files of an installation: those that ship in systemd/, and what depends on the machine."""

from __future__ import annotations

import re
from pathlib import Path

import emomusic_edge
from emomusic_edge.installation.errors import ServiceError
from emomusic_edge.installation.places import Places

# What ships, by its name in systemd/.
UNIT_FILE = "emomusic-edge.service"
CAMERA_RULES = "70-emomusic-camera.rules"
SYSUSERS = "emomusic-edge.sysusers.conf"
TMPFILES = "emomusic-edge.tmpfiles.conf"
EXAMPLE = "config.example.toml"
JETSON = "jetson.conf"
PRIVATE_NETWORK = "private-network.conf"
USER = "user.conf"

# The drop-in that names the environment; made here.
ENVIRONMENT = "environment.conf"

# The link that the camera rules make.
CAMERA = "/dev/emomusic-camera"
_NO_CAMERA_NAMED = '# source = "auto"'


def packaged(name: str) -> str:
    """The text of a file that ships in systemd/."""
    return (Path(emomusic_edge.__file__).parent / "systemd" / name).read_text(encoding="utf-8")


def first_settings(places: Places) -> str:
    """The config file of a new installation: the example, with the camera that the udev rule names.

    A camera that is named is waited for; without one `auto` ends the service when none is there at the start.
    """
    example = packaged(EXAMPLE)
    if places.udev is None:
        return example
    return example.replace(_NO_CAMERA_NAMED, f'source = "{CAMERA}"', 1)


def environment_drop_in(program: Path, settings: Path) -> str:
    """The drop-in for an environment that is not where the unit says.

    Args:
        program: `bin/emomusic-edge` of the environment, an absolute path.
        settings: the config file.

    Raises:
        ServiceError: a path that a unit file cannot hold.
    """
    return (
        "# Where the program is; written by `emomusic-edge service install`.\n"
        "[Service]\nExecStart=\n"
        f"ExecStart={quoted(program)} run --config {quoted(settings)}\n"
    )


def quoted(path: Path) -> str:
    r"""A path as one word of ExecStart=, for systemd.service(5): `%` doubled.

    The first word is the program: systemd takes no quote and no backslash in it, and its `$` as it is; a path with one
    of them is refused rather than guessed at.

    Raises:
        ServiceError: the path is relative, or holds a control character, a quote, a backslash or a `$`.
    """
    text = str(path)
    if not path.is_absolute() or re.search(r"""[\x00-\x1f\x7f$"'\\]""", text) or not text.isprintable():
        raise ServiceError(
            f"{text!r} cannot stand in a unit file, expected an absolute path of printable characters without $, "
            "quotes and backslashes.",
            mend="Name an environment in another folder with --venv.",
        )
    if re.fullmatch(r"[\w/.,:+=@-]+", text, flags=re.ASCII):
        return text
    doubled = text.replace("%", "%%")
    return f'"{doubled}"'
