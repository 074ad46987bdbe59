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
_OUT = typer.Option(help="Folder to make the bundles in; else the data folder's.", show_default=False)
_JSON = typer.Option("--json", help="Print the manifests as a JSON array; progress goes to stderr.")


@app.command()
def starter(
    out: Annotated[Path | None, _OUT] = None,
    force: Annotated[bool, _FORCE] = False,
    as_json: Annotated[bool, _JSON] = False,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Make the starter face model and both face detectors (the starter scene model ships with the package)."""
    from emomusic_edge.export.starter.bundles import STARTER_BUNDLES

    _make(STARTER_BUNDLES, out, config, force=force, as_json=as_json)


@app.command()
def detector(
    out: Annotated[Path | None, _OUT] = None,
    force: Annotated[bool, _FORCE] = False,
    as_json: Annotated[bool, _JSON] = False,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Make the face detectors: MediaPipe's BlazeFace, full-range and short-range."""
    from emomusic_edge.export.starter.bundles import DETECTORS

    _make(DETECTORS, out, config, force=force, as_json=as_json)


def _make(
    bundles: tuple[StarterBundle, ...], out: Path | None, config: Path | None, *, force: bool, as_json: bool
) -> None:
    from rich.console import Console

    from emomusic_edge.config import load_config
    from emomusic_edge.export.starter.bundles import ensure_bundle
    from emomusic_edge.paths import DataLayout

    console = Console(stderr=as_json)
    paths = load_config(config).paths
    folder = out or DataLayout(paths.data_dir).bundles
    manifests = []
    for bundle in bundles:
        written = ensure_bundle(
            bundle, folder, paths.cache_dir, lambda line: console.print(line, highlight=False), force=force
        )
        manifests.append(written.to_json())
        parity = written.parity
        told = f", {parity.max_abs_difference:.1g} {parity.unit} from {parity.reference}" if parity else ""
        console.print(f"{folder / written.name}: {written.title}{told}", highlight=False)
    if as_json:
        typer.echo("[" + ",\n".join(manifests) + "]")
