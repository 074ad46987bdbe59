"""Where the package comes from when an environment of the service's own is made."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from emomusic_edge import __version__
from emomusic_edge.installation.errors import ServiceError
from emomusic_edge.own_source import came_from, requirement
from emomusic_edge.paths import APP_NAME

# What `demo` needs to make the starter set.
EXTRA = "starter"


@dataclass(frozen=True, slots=True)
class Source:
    """What pip is told.

    Attributes:
        package: the package itself: a folder, a wheel, or name and version.
        requirement: the same with its extra: pip then asks the package what it needs.
        needs: what it needs, as requirements, the extra included.
        wheels: a folder of wheels to take everything from, without the network; None asks pip's own index.
        folder: the source folder that pip builds in; None where it builds nothing.
    """

    package: str
    requirement: str
    needs: tuple[str, ...] = ()
    wheels: Path | None = None
    folder: Path | None = None

    @property
    def offline(self) -> tuple[str, ...]:
        """What keeps pip from the network, behind `pip install`; nothing where it may use it."""
        return () if self.wheels is None else ("--no-index", "--find-links", str(self.wheels))


def source_of(wheels: Path | None = None) -> Source:
    """The same version that is running, from where it came itself.

    Args:
        wheels: a folder made by `pip wheel --wheel-dir WHEELS '.[starter]'` on a machine of the same kind.

    Raises:
        ServiceError: the folder holds no wheel of this version.
    """
    if wheels is not None:
        found = sorted(wheels.glob(f"{APP_NAME.replace('-', '_')}-{__version__}-*.whl"))
        if not found:
            raise ServiceError(
                f"{wheels} holds no wheel of {APP_NAME} {__version__}, the version that is running.",
                mend=f"pip wheel --wheel-dir {wheels} '.[{EXTRA}]' in the repository's folder.",
            )
        return Source(str(found[0]), f"{found[0]}[{EXTRA}]", _needs(), wheels)
    place = came_from()
    folder = place if place is not None and place.is_dir() else None
    return Source(requirement(), requirement(EXTRA), _needs(), folder=folder)


def _needs() -> tuple[str, ...]:
    """What the running version says that it needs, with the extra; nothing where its metadata are not there."""
    try:
        told = importlib.metadata.requires(APP_NAME) or ()
    except importlib.metadata.PackageNotFoundError:
        return ()
    needs = []
    for line in told:
        what, _, marker = line.partition(";")
        if marker.strip() == f'extra == "{EXTRA}"':
            needs.append(what.strip())
        elif "extra ==" not in marker:
            needs.append(line)
    return tuple(needs)
