"""Where the package comes from when an environment of the service's own is made."""

from __future__ import annotations

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
        requirement: a folder, a wheel, or name and version, with its extras.
        wheels: a folder of wheels to take everything from, without the network; None asks pip's own index.
        folder: the source folder that pip builds in; None where it builds nothing.
    """

    requirement: str
    wheels: Path | None = None
    folder: Path | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """Behind `pip install`."""
        offline = () if self.wheels is None else ("--no-index", "--find-links", str(self.wheels))
        return (*offline, self.requirement)


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
        return Source(f"{found[0]}[{EXTRA}]", wheels)
    place = came_from()
    return Source(requirement(EXTRA), folder=place if place is not None and place.is_dir() else None)
