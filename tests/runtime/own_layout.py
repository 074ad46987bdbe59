"""A data folder of a run's own over the starter set, so that no two runs of the tests have the same one."""

from __future__ import annotations

from pathlib import Path

from emomusic_edge.paths import DataLayout


def own_layout(layout: DataLayout, root: Path) -> DataLayout:
    """A new folder with links to the models and the music of another."""
    root.mkdir(parents=True)
    for part in (layout.bundles, layout.starter_music):
        (root / part.name).symlink_to(part)
    return DataLayout(root)
