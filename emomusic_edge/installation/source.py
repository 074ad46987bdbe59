"""Where the package comes from when an environment of the service's own is made."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from emomusic_edge import __version__
from emomusic_edge.installation.errors import ServiceError
from emomusic_edge.paths import APP_NAME

# What `demo` needs to make the starter set.
EXTRAS = "[starter]"


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
                mend=f"pip wheel --wheel-dir {wheels} '.{EXTRAS}' in the repository's folder.",
            )
        return Source(f"{found[0]}{EXTRAS}", wheels)
    came_from = _direct_url()
    if came_from is None:
        return Source(f"{APP_NAME}{EXTRAS}=={__version__}")
    return Source(f"{came_from}{EXTRAS}", folder=came_from if came_from.is_dir() else None)


def _direct_url() -> Path | None:
    """The folder or wheel that pip installed the running package from (PEP 610), where it is still there."""
    try:
        text = importlib.metadata.distribution(APP_NAME).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    url = urlsplit(json.loads(text)["url"]) if text else None
    if url is None or url.scheme != "file":
        return None
    path = Path(unquote(url.path))
    return path if path.exists() else None
