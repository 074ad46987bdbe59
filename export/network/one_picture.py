"""A trunk's features of one picture, written as the exported graph is to compute them.

A batch may need all of a transformer's tokens, a single picture's features do not; and ONNX Runtime fuses some ways of
writing the same sum and not others. Three changes to CLIP's tower, equal but for rounding; interleaved on two x86 cores
against the graph of transformers' own forward pass (benchmarks/lean_tower.py):

- Only the class token leaves the tower: so the last block asks its query, its attention, its projection and its MLP for
  that token alone. 7 % of ViT-B/32's multiply-adds less; 0.96 of the time.
- Every Linear layer gets a matrix, not a batch of them, and becomes one Gemm with its bias: with the above 0.91 in
  fp32, 0.84 in int8, where a Gemm leaves floats behind and a MatMul has to round its result once more.
- The sum before a LayerNorm is written twice, with its terms turned round: ONNX Runtime then fuses one of them with the
  normalisation, and that kernel takes a quarter of the time of LayerNormalization's own. A sum with two consumers it
  leaves alone. With the above 0.88 in fp32, 0.74 in int8.

One product for queries, keys and values together was no faster (1.00 in fp32, 0.99 in int8).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .clip_tower import ClipTower


def features_of_one(trunk: nn.Module, picture: Tensor) -> Tensor:
    """A picture float32 [1, 3, H, W] -> features float32 [1, D], equal to trunk(picture) but for rounding."""
    if isinstance(trunk, ClipTower):
        return _class_token(trunk, picture)
    features: Tensor = trunk(picture)
    return features


def _class_token(tower: ClipTower, picture: Tensor) -> Tensor:
    # Any: torch gives the parts of a module no type.
    vision: Any = tower.vision_model
    blocks: list[Any] = list(vision.encoder.layers)
    next_norms = [*(block.layer_norm1 for block in blocks[1:]), vision.post_layernorm]
    stream = vision.pre_layrnorm(vision.embeddings(picture))
    tokens = blocks[0].layer_norm1(stream)
    for block, next_norm in zip(blocks, next_norms, strict=True):
        stream = stream[:, :1] if block is blocks[-1] else stream
        change = _attention(block.self_attn, tokens, asked=stream.shape[1])
        tokens, stream = block.layer_norm2(stream + change), change + stream
        change = block.mlp(_matrix(tokens)).reshape(stream.shape)
        tokens, stream = next_norm(stream + change), change + stream
    features: Tensor = tower.visual_projection(_matrix(tokens))
    return features


def _attention(attention: Any, tokens: Tensor, asked: int) -> Tensor:
    """What the first tokens, as many as asked for, gather from all of them: [1, tokens, width] -> [1, asked, width]."""
    rows = _matrix(tokens)
    queries, keys, values = (
        _in_heads(linear(those), attention.num_heads)
        for linear, those in ((attention.q_proj, rows[:asked]), (attention.k_proj, rows), (attention.v_proj, rows))
    )
    weights = torch.softmax(queries @ keys.transpose(1, 2) * attention.scale, dim=-1)
    gathered = (weights @ values).transpose(0, 1).reshape(asked, -1)
    attended: Tensor = attention.out_proj(gathered).reshape(1, asked, -1)
    return attended


def _matrix(tokens: Tensor) -> Tensor:
    """[1, tokens, width] -> [tokens, width]."""
    return tokens.reshape(-1, tokens.shape[-1])


def _in_heads(rows: Tensor, heads: int) -> Tensor:
    """[tokens, width] -> [heads, tokens, width / heads]."""
    return rows.reshape(rows.shape[0], heads, -1).transpose(0, 1)
