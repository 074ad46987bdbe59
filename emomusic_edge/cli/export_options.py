"""The arguments and options that the export commands share, and the bundle's name that comes of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from emomusic_edge.cli.run import CONFIG

Source = Literal["scene", "face"]
Precision = Literal["fp32", "fp16", "int8"]
Normalisation = Literal["clip", "imagenet"]
Transform = Literal["clip", "torchvision", "torchvision-square", "opencv"]
Activation = Literal["quick_gelu", "gelu"]

Checkpoint = Annotated[
    Path,
    typer.Argument(
        help="The checkpoint: .safetensors, or what torch.save wrote of a state_dict (plain, fastai's, Lightning's, "
        "DDP's).",
        show_default=False,
    ),
]
PrecisionOption = Annotated[
    Precision, typer.Option(help="Of the graph's numbers: int8 for a CPU or TensorRT, fp16 for a GPU.")
]
NormalisationOption = Annotated[Normalisation, typer.Option(help="What training subtracted and divided by.")]
TransformOption = Annotated[
    Transform,
    typer.Option(
        help="How training resized pictures: CLIPProcessor; torchvision's Resize(s) and CenterCrop(s), or its "
        "Resize((s, s)); a plain cv2.resize((s, s))."
    ),
]
SamplesOption = Annotated[
    int, typer.Option(min=1, max=128, help="T, the bundle's default number of dropout samples for each picture.")
]
DropoutOption = Annotated[
    float,
    typer.Option(
        min=0.01,
        max=0.95,
        help="The dropout rate in training. No checkpoint holds it, and the uncertainty rests on it.",
    ),
]
PicturesOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of real pictures like those that the device will see (for a face model: face crops), at least 24: "
        "the first third by name calibrates fp16 and int8, the gates judge by the rest. Without it, photographs are "
        "fetched.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="The bundle's folder; else one of its name in the data folder, where `run` finds it.", show_default=False
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        callback=lambda name: _checked(name),
        help="The bundle's name: small letters, digits, `.`, `_`, `-`; else the checkpoint's and the precision.",
        show_default=False,
    ),
]
LicenceOption = Annotated[str, typer.Option(help="What the weights come under, for the manifest.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Write the bundle although a gate failed; its manifest will say so.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the whole report as JSON; progress goes to stderr.")]
ModeloptOption = Annotated[
    Path | None,
    typer.Option(
        help="For fp16: the Python of an environment with nvidia-modelopt; else one is made in the cache, once.",
        show_default=False,
    ),
]
ConfigOption = Annotated[Path | None, CONFIG]


def _checked(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise typer.BadParameter(
            f"{name!r} is no bundle's name: up to 64 small letters, digits, `.`, `_` and `-` are, e.g. "
            f"{bundle_name(name, 'fp32')!r}."
        )
    return name


def bundle_name(stem: str, precision: Precision) -> str:
    """A bundle's name from a checkpoint's: `Scene_Model` in int8 is `scene-model-int8`."""
    plain = re.sub(r"[^a-z0-9.]+", "-", stem.lower()).strip("-.") or "model"
    return plain[:50] + ("" if precision == "fp32" else f"-{precision}")
