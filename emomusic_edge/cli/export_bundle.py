"""`emomusic-edge export verify | inspect`: judge a bundle again, look into one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emomusic_edge.cli.run import CONFIG

if TYPE_CHECKING:
    from rich.table import Table

    from emomusic_edge.manifest import GateRecord

_BUNDLE = typer.Argument(help="The bundle's name or folder.", show_default=False)
_JSON = typer.Option("--json", help="Print one JSON object instead of a table.")

_MARKS = {"passed": "[green]passed[/green]", "failed": "[bold red]failed[/bold red]", "not run": "[dim]not run[/dim]"}


def gate_table(gates: Sequence[GateRecord]) -> Table:
    """Gates as a table for the terminal."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("gate", "", "found", title_justify="left")
    for gate in gates:
        table.add_row(gate.name, _MARKS[gate.state], escape(gate.told))
    return table


def verify(
    bundle: Annotated[str, _BUNDLE],
    pictures: Annotated[
        Path | None,
        typer.Option(
            help="Folder of real pictures to hold the resize and crop by; else those that an export has fetched.",
            show_default=False,
        ),
    ] = None,
    builder: Annotated[bool, typer.Option(help="Have TensorRT build it too, where it is installed.")] = True,
    as_json: Annotated[bool, _JSON] = False,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Hold a bundle against its own record: hashes, contract, parity, sampling, preprocessing, builder.

    No checkpoint is needed, and no PyTorch.

    Exit code 5 when anything does not hold.
    """
    from rich.console import Console

    from emomusic_edge.cli.progress import spinning
    from emomusic_edge.config import load_config
    from emomusic_edge.errors import ModelError
    from emomusic_edge.export.pictures import fetched_pictures, folder_pictures
    from emomusic_edge.export.verify import MEND, verify_bundle
    from emomusic_edge.manifest import read_manifest
    from emomusic_edge.runtime.locate import find_bundle

    console = Console(stderr=as_json)
    settings = load_config(config)
    folder = find_bundle(bundle, settings)
    with spinning(console, f"Verifying {folder.name}") as announce:
        sets = None
        if pictures is not None:
            sets = folder_pictures(pictures)
        elif (manifest := read_manifest(folder, mend=MEND)).source is not None:
            sets = fetched_pictures(manifest.source, settings.paths.cache_dir, manifest.image.face_margin)
        manifest, gates = verify_bundle(folder, pictures=sets, with_builder=builder, announce=announce)
    failed = [gate.name for gate in gates if gate.state == "failed"]
    if as_json:
        told = {
            "bundle": str(folder),
            "name": manifest.name,
            "precision": manifest.precision,
            "forced": manifest.forced,
            "holds": not failed,
            "gates": [gate.model_dump() for gate in gates],
        }
        typer.echo(json.dumps(told, indent=2))
    else:
        console.print(gate_table(gates))
    if manifest.forced:
        console.print("This bundle was written with --force: a gate of its export had failed.", style="bold red")
    if failed:
        raise ModelError(
            f"Bundle {folder} does not hold: {', '.join(failed)}.", mend="Export it again from its checkpoint."
        )


def inspect(
    bundle: Annotated[str, _BUNDLE],
    as_json: Annotated[bool, _JSON] = False,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Look into a bundle: what it is, what it takes and gives, where it is from, what its gates found."""
    from rich.console import Console
    from rich.table import Table

    from emomusic_edge.config import load_config
    from emomusic_edge.export.inspect import inspect_bundle
    from emomusic_edge.manifest import CPU_MODEL_NAME
    from emomusic_edge.runtime.locate import find_bundle

    console = Console()
    folder = find_bundle(bundle, load_config(config))
    facts = inspect_bundle(folder)
    manifest = facts.manifest
    if as_json:
        told = {
            "bundle": str(folder),
            "model_mb": round(facts.model_mb, 3),
            "cpu_model_mb": round(facts.cpu_model_mb, 3),
            "parameters": facts.parameters,
            "operators": facts.operators,
            "inputs": facts.inputs,
            "outputs": facts.outputs,
            "manifest": json.loads(manifest.to_json()),
        }
        typer.echo(json.dumps(told, indent=2))
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    image = manifest.image
    rows: list[tuple[str, str]] = [
        ("bundle", str(folder)),
        ("what", manifest.title + (f". {manifest.note}" if manifest.note else "")),
        ("kind", f"{manifest.kind}, {manifest.source or 'faces'}, {manifest.precision}"),
        ("model", f"{facts.model_mb:.1f} MB, {facts.parameters / 1e6:.1f} million parameters, opset {manifest.opset}"),
        *([("on a CPU", f"{CPU_MODEL_NAME}, another {facts.cpu_model_mb:.1f} MB")] if facts.cpu_model_mb else []),
        ("inputs", "; ".join(facts.inputs)),
        ("outputs", "; ".join(facts.outputs)),
        ("picture", f"{image.width_px}x{image.height_px} {image.colour_order}, {image.resize}, crop {image.crop}"),
        ("normalisation", image.normalisation),
    ]
    if manifest.mc_dropout is not None:
        blocks = ", ".join(f"{block.name} {block.width}" for block in manifest.mc_dropout.layout)
        rows.append(("dropout", f"p = {manifest.mc_dropout.p:g}, T = {manifest.mc_dropout.default_samples}: {blocks}"))
    if manifest.training is not None:
        rows.append(("trained as", f"{manifest.training.architecture}, {manifest.training.transform}"))
        rows += [("", note) for note in manifest.training.notes]
    rows.append(("weights", f"{manifest.weights.name} ({manifest.weights.licence})"))
    rows.append(("operators", ", ".join(f"{count} {name}" for name, count in facts.operators.items())))
    for name, value in rows:
        table.add_row(name, value)
    console.print(table, highlight=False, markup=False)
    if manifest.gates:
        console.print(gate_table(manifest.gates))
    if manifest.forced:
        console.print("Written with --force: a gate had failed.", style="bold red")
