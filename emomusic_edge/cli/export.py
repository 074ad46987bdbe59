"""`emomusic-edge export`: turn models into bundles that the device runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emomusic_edge.cli.engine import engine
from emomusic_edge.cli.export_bundle import inspect, verify
from emomusic_edge.cli.export_checkpoint import face, reference, scene
from emomusic_edge.cli.run import CONFIG

if TYPE_CHECKING:
    from emomusic_edge.export.starter.bundles import StarterBundle

app = typer.Typer(
    no_args_is_help=True,
    help="Turn models into bundles that the device runs.\n\nA bundle is a folder: `model.onnx`, a `manifest.json` that "
    "says everything about it, and what its source answered. Each passes its gates before it is written; "
    "docs/export.md walks from a checkpoint to the device.",
)
for command in (scene, face, reference, verify, inspect, engine):
    app.command()(command)

_FORCE = typer.Option("--force", help="Make it again although it stands there whole.")


@app.command()
def starter(config: Annotated[Path | None, CONFIG] = None, force: Annotated[bool, _FORCE] = False) -> None:
    """Make the starter face model and both face detectors (the starter scene model ships with the package)."""
    from emomusic_edge.export.starter.bundles import STARTER_BUNDLES

    _make(STARTER_BUNDLES, config, force=force)


@app.command()
def detector(config: Annotated[Path | None, CONFIG] = None, force: Annotated[bool, _FORCE] = False) -> None:
    """Make the face detectors: MediaPipe's BlazeFace, full-range and short-range."""
    from emomusic_edge.export.starter.bundles import DETECTORS

    _make(DETECTORS, config, force=force)


def _make(bundles: tuple[StarterBundle, ...], config: Path | None, *, force: bool) -> None:
    from rich.console import Console

    from emomusic_edge.config import load_config
    from emomusic_edge.export.starter.bundles import ensure_bundle
    from emomusic_edge.paths import DataLayout

    console = Console()
    paths = load_config(config).paths
    layout = DataLayout(paths.data_dir)
    for bundle in bundles:
        written = ensure_bundle(
            bundle, layout, paths.cache_dir, lambda line: console.print(line, highlight=False), force=force
        )
        parity = written.parity
        told = f", {parity.max_abs_difference:.1g} {parity.unit} from {parity.reference}" if parity else ""
        console.print(f"{layout.bundle(written.name)}: {written.title}{told}", highlight=False)
