"""`emomusic-edge export scene | face | reference`: a network in PyTorch becomes a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emomusic_edge.cli.export_options import (
    Activation,
    Checkpoint,
    ConfigOption,
    DropoutOption,
    ForceOption,
    JsonOption,
    LicenceOption,
    ModeloptOption,
    NameOption,
    Normalisation,
    NormalisationOption,
    OutOption,
    PicturesOption,
    Precision,
    PrecisionOption,
    SamplesOption,
    Source,
    Transform,
    TransformOption,
    bundle_name,
)

if TYPE_CHECKING:
    from rich.console import Console

    from emomusic_edge.export.network.masked import MaskedRegressor
    from emomusic_edge.export.pipeline import ExportPlan
    from emomusic_edge.export.report import ExportReport


@dataclass(frozen=True, slots=True)
class _Places:
    """Where things come from and go.

    Attributes:
        pictures: folder of the user's own.
        target: the bundle's folder; None takes one of its name in the data folder.
        modelopt_python: an interpreter.
        config: the config file.
    """

    pictures: Path | None
    target: Path | None
    modelopt_python: Path | None
    config: Path | None


def scene(
    checkpoint: Checkpoint,
    precision: PrecisionOption = "fp32",
    normalisation: NormalisationOption = "clip",
    transform: TransformOption = "clip",
    activation: Annotated[
        Activation, typer.Option(help="Of the CLIP tower: OpenAI's have quick_gelu, most of LAION's gelu.")
    ] = "quick_gelu",
    samples: SamplesOption = 64,
    dropout: DropoutOption = 0.3,
    pictures: PicturesOption = None,
    out: OutOption = None,
    name: NameOption = None,
    licence: LicenceOption = "as its owner says",
    force: ForceOption = False,
    as_json: JsonOption = False,
    modelopt_python: ModeloptOption = None,
    config: ConfigOption = None,
) -> None:
    """Turn a fine-tuned scene model (a CLIP image tower with two heads) into a bundle.

        emomusic-edge export scene scene_model.pth
        emomusic-edge export scene scene_model.pth --precision int8 --pictures ~/Pictures/living-room

    Sizes are read off the checkpoint: ViT-B/32, B/16, L/14, with or without the text tower. Needs the extra `export`.
    """
    network, plan = _from_checkpoint(
        checkpoint, "scene", precision, normalisation, transform, activation, samples, dropout, name, licence, force
    )
    report = _exported(network, plan, _Places(pictures, out, modelopt_python, config), as_json=as_json)
    if as_json:
        typer.echo(report.to_json())


def face(
    checkpoint: Checkpoint,
    precision: PrecisionOption = "fp32",
    normalisation: NormalisationOption = "imagenet",
    transform: TransformOption = "opencv",
    samples: SamplesOption = 64,
    dropout: DropoutOption = 0.3,
    pictures: PicturesOption = None,
    out: OutOption = None,
    name: NameOption = None,
    licence: LicenceOption = "as its owner says",
    force: ForceOption = False,
    as_json: JsonOption = False,
    modelopt_python: ModeloptOption = None,
    config: ConfigOption = None,
) -> None:
    """Turn a fine-tuned face model (ResNet-18 or -34 with two heads) into a bundle.

        emomusic-edge export face face_model.pth

    Sizes are read off the checkpoint. Needs the extra `export`.
    """
    network, plan = _from_checkpoint(
        checkpoint, "face", precision, normalisation, transform, "quick_gelu", samples, dropout, name, licence, force
    )
    report = _exported(network, plan, _Places(pictures, out, modelopt_python, config), as_json=as_json)
    if as_json:
        typer.echo(report.to_json())


def reference(
    only: Annotated[Source | None, typer.Option(help="Only one of the two.", show_default=False)] = None,
    precision: PrecisionOption = "fp32",
    samples: SamplesOption = 64,
    pictures: PicturesOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to make the bundles in; else the data folder's.", show_default=False)
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    modelopt_python: ModeloptOption = None,
    config: ConfigOption = None,
) -> None:
    """Make both architectures with random weights, to measure speed by. Their answers mean nothing.

    CLIP ViT-B/32 and ResNet-18 with the heads of the design; every surface says that the weights are random.
    """
    from emomusic_edge.export.checkpoint.read import require_torch

    require_torch()
    from emomusic_edge.export.reference_plan import reference_network

    sources: tuple[Source, ...] = ("scene", "face") if only is None else (only,)
    reports = []
    for source in sources:
        network, plan = reference_network(source, precision=precision, samples=samples, force=force)
        target = None if out is None else out / plan.name
        reports.append(_exported(network, plan, _Places(pictures, target, modelopt_python, config), as_json=as_json))
    if as_json:
        typer.echo("[" + ",\n".join(report.to_json() for report in reports) + "]")


def _from_checkpoint(
    path: Path,
    source: Source,
    precision: Precision,
    normalisation: Normalisation,
    transform: Transform,
    activation: Activation,
    samples: int,
    dropout_p: float,
    name: str | None,
    licence: str,
    force: bool,
) -> tuple[MaskedRegressor, ExportPlan]:
    from emomusic_edge.export.checkpoint.read import require_torch

    require_torch()
    from emomusic_edge.export.checkpoint.load import load_checkpoint
    from emomusic_edge.export.network.masked import NORMALISATIONS, MaskedRegressor
    from emomusic_edge.export.pipeline import ExportPlan
    from emomusic_edge.manifest import SourceRecord

    loaded = load_checkpoint(path, source, dropout_p=dropout_p, activation=activation)
    plan = ExportPlan(
        name=name or bundle_name(path.stem, precision),
        title=f"{path.stem} ({loaded.architecture}, {precision})",
        source=source,
        architecture=loaded.architecture,
        image_px=loaded.image_px,
        dropout_p=dropout_p,
        normalisation=NORMALISATIONS[normalisation],
        transform=transform,
        activation=activation if source == "scene" else "",
        samples=samples,
        precision=precision,
        weights=SourceRecord(name=loaded.file_name, sha256=loaded.sha256, licence=licence),
        notes=loaded.told,
        force=force,
    )
    return MaskedRegressor(loaded.regressor, plan.normalisation), plan


def _exported(network: MaskedRegressor, plan: ExportPlan, places: _Places, *, as_json: bool) -> ExportReport:
    """Export, telling each step and, unless JSON is wanted, what was found."""
    from rich.console import Console

    from emomusic_edge.cli.progress import spinning
    from emomusic_edge.config import load_config
    from emomusic_edge.export.pictures import default_pictures, folder_pictures
    from emomusic_edge.export.pipeline import FACE_MARGIN, export_network
    from emomusic_edge.export.precision.lower import Lowering
    from emomusic_edge.export.report import Steps
    from emomusic_edge.paths import DataLayout

    console = Console(stderr=as_json)
    paths = load_config(places.config).paths
    for note in plan.notes:
        console.print(f"Checkpoint: {note}", style="dim", highlight=False, markup=False)
    with spinning(console, f"{plan.name}: {plan.architecture}, {plan.precision}") as announce:
        if places.pictures is not None:
            sets = folder_pictures(places.pictures)
        else:
            sets = default_pictures(plan.source, paths.cache_dir, FACE_MARGIN, announce)
        report = export_network(
            network,
            plan,
            sets,
            places.target or DataLayout(paths.data_dir).bundle(plan.name),
            Lowering(paths.cache_dir, places.modelopt_python),
            Steps(announce),
        )
    if not as_json:
        _print(console, report)
    return report


def _print(console: Console, report: ExportReport) -> None:
    from emomusic_edge.cli.export_bundle import gate_table

    manifest = report.manifest
    console.print(gate_table(manifest.gates))
    if manifest.forced:
        console.print("A gate failed; written because of --force, and the manifest says so.", style="bold red")
    seconds = sum(report.seconds.values())
    console.print(
        f"{report.bundle}\n{manifest.title}: {seconds:.0f} s, {report.peak_memory_mb:.0f} MB at most. "
        f"Judged by {report.pictures}.",
        highlight=False,
        markup=False,
    )
    console.print(
        f"Try it: emomusic-edge run --set models.{manifest.source}={report.bundle} --source clip.mp4",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
