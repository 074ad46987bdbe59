"""A checkpoint becomes a regressor: recognised, built in its sizes and filled, or refused in one message."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from emomusic_edge.artefacts import sha256_of
from emomusic_edge.errors import ModelError
from emomusic_edge.export.network.clip_tower import Activation, ClipTower
from emomusic_edge.export.network.regressor import AffectRegressor
from emomusic_edge.export.network.resnet import FEATURES, ResNetTrunk

from .mismatch import mismatch_message
from .openai_names import is_openai_tower, transformers_names
from .read import read_checkpoint, require_torch
from .sizes import clip_tower_sizes, head_shapes, resnet_blocks, resnet_name
from .unwrap import StateDict, unwrap

Source = Literal["scene", "face"]

_TRUNK = "backbone."
# Beside the image tower, CLIP's checkpoints hold these; nothing of them is needed to see.
_TEXT_TOWER = (
    *("text_model.", "text_projection", "logit_scale", "logit_bias"),
    # OpenAI's names
    *("transformer.", "token_embedding.", "positional_embedding", "ln_final."),
    *("input_resolution", "context_length", "vocab_size"),
)


@dataclass(frozen=True, slots=True)
class LoadedCheckpoint:
    """A regressor and where it comes from.

    Attributes:
        regressor: in evaluation mode, float32, on the CPU.
        architecture: `ViT-B/32` or `ResNet-18` and their like.
        image_px: height and width that it takes.
        file_name: of the checkpoint.
        sha256: of that file.
        told: what was unwrapped, renamed or left out, a line each.
    """

    regressor: AffectRegressor
    architecture: str
    image_px: int
    file_name: str
    sha256: str
    told: tuple[str, ...]


def load_checkpoint(
    path: Path, source: Source, *, dropout_p: float, activation: Activation = "quick_gelu"
) -> LoadedCheckpoint:
    """Read a checkpoint.

    Args:
        path: the file.
        source: `scene` expects CLIP's image tower, `face` a ResNet.
        dropout_p: no checkpoint holds it; the seed trains with 0.3.
        activation: of a CLIP tower's MLPs; no checkpoint holds it.

    Raises:
        ModelError: it is missing, unsafe, or not such a model; the message lists what is.
        MissingExtraError: PyTorch is missing or too old.
    """
    require_torch()
    state = unwrap(read_checkpoint(path), path.name)
    trunk, heads, told = _split(state, path.name)
    trunk_of: Callable[[], nn.Module]
    if source == "scene":
        trunk, more = _clip_trunk(trunk, path.name)
        sizes = clip_tower_sizes(trunk, path.name)
        architecture, image_px, features = sizes.name, sizes.image_px, sizes.projection
        trunk_of = functools.partial(ClipTower, sizes, activation)
        shapes = head_shapes(heads, path.name)
    else:
        _refuse_clip(trunk, path.name)
        blocks = resnet_blocks(trunk, path.name)
        architecture, image_px, features = resnet_name(blocks), 224, FEATURES
        trunk_of = functools.partial(ResNetTrunk, blocks)
        shapes = head_shapes(heads, path.name)
        trunk, more = _without_classifier(trunk, shapes["valence"].features, path.name)
    # Built for the trunk's own width: heads for another one are then told with all that does not fit.
    fitting = {axis: dataclasses.replace(shape, features=features) for axis, shape in shapes.items()}
    tensors = {f"{_TRUNK}{name}": value for name, value in trunk.items()} | heads
    # Without its values first: a few small tensors can claim a network of gigabytes.
    with torch.device("meta"):
        outline = AffectRegressor(trunk_of(), fitting, dropout_p)
    _refuse_mismatch(outline, tensors, path.name, architecture)
    regressor = AffectRegressor(trunk_of(), fitting, dropout_p)
    regressor.load_state_dict(tensors, strict=False)
    regressor.eval()
    return LoadedCheckpoint(regressor, architecture, image_px, path.name, sha256_of(path), (*told, *more))


def _split(state: StateDict, file_name: str) -> tuple[dict[str, Tensor], dict[str, Tensor], tuple[str, ...]]:
    trunk = {n.removeprefix(_TRUNK): v for n, v in state.tensors.items() if n.startswith(_TRUNK)}
    if not trunk:
        tops = sorted({name.split(".")[0] for name in state.tensors})
        raise ModelError(
            f"Checkpoint {file_name} has no backbone.*; its names begin with {', '.join(tops[:8])}. Expected: "
            "backbone.*, valence_head.*, arousal_head.*.",
            mend="Save the whole regressor's state_dict, with the trunk as its attribute `backbone`.",
        )
    rest = {n: v for n, v in state.tensors.items() if not n.startswith(_TRUNK)}
    return trunk, rest, state.told


def _clip_trunk(trunk: Mapping[str, Tensor], file_name: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The image tower alone, under transformers' names."""
    told = []
    if "layer1.0.conv1.weight" in trunk:
        raise ModelError(
            f"Checkpoint {file_name} holds a ResNet, the face model's trunk; a scene model has CLIP's image tower.",
            mend=f"emomusic-edge export face {file_name}",
        )
    visual = {name.removeprefix("visual."): value for name, value in trunk.items() if name.startswith("visual.")}
    beside = {name: value for name, value in trunk.items() if not name.startswith("visual.")}
    if visual:
        # What is unknown inside the image tower stays, to be told as unexpected; the text tower lies beside it.
        tower, rest = transformers_names(visual), beside
        told.append("OpenAI's names")
    elif is_openai_tower(trunk):
        tower, rest = transformers_names(trunk), {}
        told.append("OpenAI's names")
    else:
        tower, rest = {}, dict(trunk)
    text = {name: value for name, value in rest.items() if name.startswith(_TEXT_TOWER)}
    millions = sum(value.numel() for value in text.values()) / 1e6
    if millions > 0.001:
        told.append(f"text tower dropped ({millions:.1f} million values)")
    kept = tower | {name: value for name, value in rest.items() if name not in text}
    return {name: value for name, value in kept.items() if not name.endswith(".position_ids")}, tuple(told)


def _refuse_clip(trunk: Mapping[str, Tensor], file_name: str) -> None:
    if any(name.startswith(("vision_model.", "visual.")) for name in trunk):
        raise ModelError(
            f"Checkpoint {file_name} holds CLIP's image tower, the scene model's trunk; a face model has a ResNet.",
            mend=f"emomusic-edge export scene {file_name}",
        )


def _without_classifier(
    trunk: Mapping[str, Tensor], features: int, file_name: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """A ResNet without what is left of ImageNet's classifier; `features` is what the heads take."""
    classifier = trunk.get("fc.weight")
    if classifier is None:
        return dict(trunk), ()
    # The seed puts an Identity in the classifier's place. One that the heads were trained behind is part of the model.
    if classifier.shape[0] == features or features != FEATURES:
        raise ModelError(
            f"Checkpoint {file_name}: backbone.fc {tuple(classifier.shape)} stands between the ResNet and heads that "
            f"take {features} features; heads on the ResNet's own {FEATURES} were expected, with nn.Identity() as fc."
        )
    kept = {name: value for name, value in trunk.items() if not name.startswith("fc.")}
    return kept, ("ImageNet classifier dropped",)


def _refuse_mismatch(
    outline: AffectRegressor, tensors: Mapping[str, Tensor], file_name: str, architecture: str
) -> None:
    wanted = {name: tuple(value.shape) for name, value in outline.state_dict().items()}
    # A count of batches that training alone uses, and a buffer that old versions of transformers saved.
    optional = {n for n in wanted if n.endswith(("num_batches_tracked", "position_ids"))}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    message = mismatch_message(wanted, found, optional=optional, architecture=architecture, file_name=file_name)
    if message:
        raise ModelError(message, mend="Export the file that training saved last, whole.")
