"""The sizes of a network, read off the shapes of its weights."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from torch import Tensor

from emomusic_edge.errors import ModelError
from emomusic_edge.export.network.clip_tower import HEAD_WIDTH, ClipTowerSizes
from emomusic_edge.export.network.regressor import AXES, HeadShape
from emomusic_edge.export.network.resnet import STAGE_CHANNELS

# The largest published tower (ViT-bigG) has 48; a name alone may claim any number.
_MAX_LAYERS = 64

_RESNET_NAMES: dict[tuple[int, ...], str] = {(2, 2, 2, 2): "ResNet-18", (3, 4, 6, 3): "ResNet-34"}


def clip_tower_sizes(tensors: Mapping[str, Tensor], file_name: str) -> ClipTowerSizes:
    """Of a tower under transformers' names.

    Raises:
        ModelError: a weight that tells a size is missing or of an impossible shape.
    """
    patch = _shape(tensors, "vision_model.embeddings.patch_embedding.weight", 4, file_name)
    positions, _ = _shape(tensors, "vision_model.embeddings.position_embedding.weight", 2, file_name)
    projection, _ = _shape(tensors, "visual_projection.weight", 2, file_name)
    mlp_width, _ = _shape(tensors, "vision_model.encoder.layers.0.mlp.fc1.weight", 2, file_name)
    width, patch_px = patch[0], patch[2]
    side = math.isqrt(max(positions - 1, 0))
    if patch[1] != 3 or patch[2] != patch[3] or side * side != positions - 1 or side == 0:
        raise ModelError(
            f"Checkpoint {file_name}: patches of shape {patch} and {positions} positions make no square RGB picture "
            "with a class token, as CLIP's image towers have."
        )
    if width % max(width // HEAD_WIDTH, 1):
        raise ModelError(
            f"Checkpoint {file_name}: a tower {width} wide; a multiple of {HEAD_WIDTH} was expected, as each attention "
            f"head is {HEAD_WIDTH} wide."
        )
    layers = _count(tensors, r"vision_model\.encoder\.layers\.([0-9]{1,6})\.")
    if layers > _MAX_LAYERS:
        raise ModelError(
            f"Checkpoint {file_name}: its names tell {layers} layers; at most {_MAX_LAYERS} were expected."
        )
    return ClipTowerSizes(side * patch_px, patch_px, width, layers, mlp_width, projection)


def resnet_blocks(tensors: Mapping[str, Tensor], file_name: str) -> tuple[int, ...]:
    """The basic blocks of each stage, under torchvision's names.

    Raises:
        ModelError: it is a deeper ResNet, or none.
    """
    if any(re.fullmatch(r"layer1\.0\.conv3\.weight", name) for name in tensors):
        raise ModelError(
            f"Checkpoint {file_name} holds a ResNet of bottleneck blocks (ResNet-50 or deeper); ResNet-18 or -34 was "
            "expected."
        )
    blocks = tuple(_count(tensors, rf"layer{stage}\.([0-9]{{1,6}})\.") for stage in range(1, len(STAGE_CHANNELS) + 1))
    if blocks not in _RESNET_NAMES:
        raise ModelError(
            f"Checkpoint {file_name} holds {', '.join(map(str, blocks))} residual blocks in its four stages; "
            "2, 2, 2, 2 (ResNet-18) or 3, 4, 6, 3 (ResNet-34) were expected."
        )
    return blocks


def resnet_name(blocks: tuple[int, ...]) -> str:
    """`ResNet-18` or `ResNet-34`."""
    return _RESNET_NAMES[blocks]


def head_shapes(tensors: Mapping[str, Tensor], file_name: str) -> dict[str, HeadShape]:
    """The widths of both heads, numbered as nn.Sequential numbers the seed's.

    Raises:
        ModelError: a head is missing, or is not Linear (LayerNorm) ReLU Dropout … Linear to one number.
    """
    return {axis: _head_shape(tensors, axis, file_name) for axis in AXES}


def _head_shape(tensors: Mapping[str, Tensor], axis: str, file_name: str) -> HeadShape:
    pattern = re.compile(rf"{axis}_head\.([0-9]{{1,6}})\.weight")
    weights = {int(m[1]): tensors[name] for name in tensors if (m := pattern.fullmatch(name))}
    linear = [place for place in sorted(weights) if weights[place].ndim == 2]
    norms = [place for place in sorted(weights) if weights[place].ndim == 1]
    if not linear:
        raise ModelError(
            f"Checkpoint {file_name} has no {axis}_head.0.weight: it is no affect regressor with a head for each axis.",
            mend="Export the checkpoint of the whole regressor, not of its backbone.",
        )
    layer_norm = bool(norms)
    # Linear, LayerNorm, ReLU, Dropout: four places a hidden layer; three without the LayerNorm.
    step = 4 if layer_norm else 3
    hidden = tuple(weights[place].shape[0] for place in linear[:-1])
    regular = linear == [step * i for i in range(len(linear))] and (
        not layer_norm or norms == [place + 1 for place in linear[:-1]]
    )
    if not regular or weights[linear[-1]].shape[0] != 1:
        found = ", ".join(f"{place}: {tuple(weights[place].shape)}" for place in sorted(weights))
        raise ModelError(
            f"Checkpoint {file_name}: {axis}_head has weights {found}; expected Linear, LayerNorm (or none), ReLU and "
            "Dropout for each hidden layer, then a Linear to 1."
        )
    return HeadShape(weights[0].shape[1], hidden, layer_norm)


def _shape(tensors: Mapping[str, Tensor], name: str, ndim: int, file_name: str) -> tuple[int, ...]:
    if name not in tensors:
        raise ModelError(
            f"Checkpoint {file_name} has no {name}, which tells a size of CLIP's image tower.",
            mend="The projection is needed: train with CLIPModel or CLIPVisionModelWithProjection as the backbone.",
        )
    shape = tuple(tensors[name].shape)
    if len(shape) != ndim:
        raise ModelError(f"Checkpoint {file_name}: {name} has shape {shape}, {ndim} dimensions were expected.")
    return shape


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    numbers = {int(m[1]) for name in tensors if (m := re.match(pattern, name))}
    return max(numbers) + 1 if numbers else 0
