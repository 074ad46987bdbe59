"""A package that cannot be imported, told with the line that installs it."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import sys

from emomusic_edge.errors import MissingExtraError
from emomusic_edge.own_source import requirement
from emomusic_edge.paths import APP_NAME

# Modules that are not called as what brings them.
_BROUGHT_BY = {"cv2": "opencv-python-headless", "pygame": "pygame-ce", "paho": "paho-mqtt", "yaml": "pyyaml"}
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+).*?(?:;.*\bextra == [\"']([^\"']+)[\"'])?$")


def missing_package(error: ModuleNotFoundError) -> MissingExtraError | None:
    """What tells a user of it; None where the module is none of a package that setup.cfg names."""
    module = (error.name or "").partition(".")[0]
    name = _BROUGHT_BY.get(module, module)
    extras = _extras_with(name)
    if not extras:
        return None
    return MissingExtraError(
        f"This needs the package {name}, which cannot be imported: {error}.",
        mend=f"{sys.executable} -m pip install {shlex.quote(requirement(extras[0]))}",
    )


def _extras_with(name: str) -> list[str]:
    """The extras that bring a distribution, in the order of setup.cfg; an empty name for the base."""
    try:
        requirements = importlib.metadata.requires(APP_NAME) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found = (_REQUIREMENT.match(requirement) for requirement in requirements)
    return [each[2] or "" for each in found if each is not None and _plain(each[1]) == _plain(name)]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
