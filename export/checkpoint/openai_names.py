"""OpenAI's own names for CLIP's image tower, as those that transformers gives the same weights."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

# openai/CLIP, model.py: VisionTransformer, against transformers' CLIPVisionTransformer.
_WHOLE = {
    "conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "class_embedding": "vision_model.embeddings.class_embedding",
    "positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "ln_post.weight": "vision_model.post_layernorm.weight",
    "ln_post.bias": "vision_model.post_layernorm.bias",
}
_IN_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_BLOCK = re.compile(r"transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)$")


def is_openai_tower(names: Mapping[str, Tensor]) -> bool:
    """Whether names, without the tower's own prefix, are OpenAI's."""
    return "conv1.weight" in names and "class_embedding" in names


def transformers_names(tower: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a tower.

    Args:
        tower: by OpenAI's names, without `visual.`; what is not known keeps its name, to be told as unexpected.

    Returns:
        By transformers' names: the joined q, k, v weights split, the projection turned.
    """
    result: dict[str, Tensor] = {}
    for name, value in tower.items():
        block = _BLOCK.fullmatch(name)
        if name in _WHOLE:
            result[_WHOLE[name]] = value
        elif name == "proj" and value.ndim == 2:
            result["visual_projection.weight"] = value.T.contiguous()
        elif block and block[2] == "attn.in_proj" and value.shape[0] % 3 == 0:
            for letter, part in zip("qkv", value.chunk(3), strict=True):
                result[f"vision_model.encoder.layers.{block[1]}.self_attn.{letter}_proj.{block[3]}"] = part
        elif block and block[2] in _IN_BLOCK:
            result[f"vision_model.encoder.layers.{block[1]}.{_IN_BLOCK[block[2]]}.{block[3]}"] = value
        else:
            result[name] = value
    return result
