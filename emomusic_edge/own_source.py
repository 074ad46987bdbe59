"""Where the running package was installed from, for lines that install it again or add to it."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

from emomusic_edge import __version__
from emomusic_edge.paths import APP_NAME


def came_from() -> Path | None:
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


def requirement(extra: str = "") -> str:
    """What pip is told: the same version from the same place, with an extra if one is named."""
    extras = f"[{extra}]" if extra else ""
    place = came_from()
    return f"{APP_NAME}{extras}=={__version__}" if place is None else f"{place}{extras}"
