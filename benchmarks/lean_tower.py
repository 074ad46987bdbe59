"""What it is worth to write CLIP's tower for one picture: each way that export/network/one_picture.py names, in turns.

    .venv/bin/python -m benchmarks.lean_tower
    .venv/bin/python -m benchmarks.lean_tower --precision int8

Random weights, ViT-B/32 with the heads of the scene model, T = 20. Needs what an export needs (make peer-torch).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from benchmarks.graph_turns import print_turns, session_run
from emomusic_edge.export.network.clip_tower import ClipTower
from emomusic_edge.export.network.masked import CLIP, MaskedRegressor
from emomusic_edge.export.network.one_picture import features_of_one
from emomusic_edge.export.network.reference import HEADS, VIT_B_32, made_photographs
from emomusic_edge.export.network.regressor import AXES, AffectRegressor
from emomusic_edge.export.network.to_onnx import onnx_from_network, quiet_exporter
from emomusic_edge.export.precision.graph_parts import mask_width
from emomusic_edge.export.precision.int8 import int8_from_fp32
from emomusic_edge.runtime.bench.measure import Effort

SAMPLES = 20
# Latency does not depend on the ranges: a few pictures' are as good as any.
_CALIBRATION_PICTURES = 2
_DROPOUT_P = 0.3

Features = Callable[[ClipTower, Tensor], Tensor]


def former(tower: ClipTower, picture: Tensor) -> Tensor:
    """The forward pass of transformers."""
    features: Tensor = tower(picture)
    return features


def class_token(tower: ClipTower, picture: Tensor) -> Tensor:
    """The last block asks for the class token alone; each Linear layer still gets [1, tokens, width]."""
    return _by_blocks(tower, picture, lambda linear, tokens: linear(tokens))


def matrices(tower: ClipTower, picture: Tensor) -> Tensor:
    """That, and a matrix for each Linear layer, which becomes a Gemm."""
    return _by_blocks(tower, picture, lambda linear, tokens: linear(tokens[0])[None])


def _by_blocks(tower: ClipTower, picture: Tensor, apply: Callable[[Any, Tensor], Tensor]) -> Tensor:
    vision: Any = tower.vision_model
    blocks: list[Any] = list(vision.encoder.layers)
    stream = vision.pre_layrnorm(vision.embeddings(picture))
    for block in blocks:
        tokens = block.layer_norm1(stream)
        stream = stream[:, :1] if block is blocks[-1] else stream
        attention, asked = block.self_attn, stream.shape[1]
        queries, keys, values = (
            apply(linear, those).reshape(those.shape[1], attention.num_heads, -1).transpose(0, 1)
            for linear, those in (
                (attention.q_proj, tokens[:, :asked]),
                (attention.k_proj, tokens),
                (attention.v_proj, tokens),
            )
        )
        weights = torch.softmax(queries @ keys.transpose(1, 2) * attention.scale, dim=-1)
        gathered = (weights @ values).transpose(0, 1).reshape(1, asked, -1)
        stream = stream + apply(attention.out_proj, gathered)
        mlp = block.mlp
        hidden = mlp.activation_fn(apply(mlp.fc1, block.layer_norm2(stream)))
        stream = stream + apply(mlp.fc2, hidden)
    features: Tensor = apply(tower.visual_projection, vision.post_layernorm(stream))[0]
    return features


WAYS: dict[str, Features] = {
    "former": former,
    "class token": class_token,
    "and a Gemm for each Linear": matrices,
    "and fused sums (as exported)": features_of_one,
}


class Written(MaskedRegressor):
    """The scene model with its tower written one way."""

    def __init__(self, regressor: AffectRegressor, features: Features) -> None:
        """Take the regressor and the way."""
        super().__init__(regressor, CLIP)
        self._features = features

    def forward(self, image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See MaskedRegressor."""
        tower: Any = self.regressor.backbone
        return self._answers(self._features(tower, self.normalised(image)), masks)


def graphs(tower: ClipTower, image_px: int, precision: str) -> dict[str, onnx.ModelProto]:
    """Each way's graph, all of the same weights."""
    regressor = AffectRegressor(tower, dict.fromkeys(AXES, HEADS["scene"]), _DROPOUT_P)
    pictures = [picture[None] for picture in made_photographs(_CALIBRATION_PICTURES, image_px, 0)]
    found = {}
    for name, features in WAYS.items():
        print(f"exporting: {name}", flush=True)
        model = onnx_from_network(Written(regressor, features), image_px)
        found[name] = int8_from_fp32(model, pictures, "minmax") if precision == "int8" else model
    return found


def main() -> None:
    """Export, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=("fp32", "int8"), default="fp32")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each, at most (default 20)")
    parser.add_argument("--seconds", type=float, default=120.0, help="begin no pair of rounds after so long")
    arguments = parser.parse_args()
    quiet_exporter()
    torch.manual_seed(0)
    found = graphs(ClipTower(VIT_B_32).eval(), VIT_B_32.image_px, arguments.precision)
    masks = np.ones((SAMPLES, mask_width(next(iter(found.values())).graph)), np.float32)
    inputs = {"image": made_photographs(1, VIT_B_32.image_px, 1), "masks": masks}
    runs = {name: session_run(model.SerializeToString(), name, inputs) for name, model in found.items()}
    print_turns(runs, "former", Effort(rounds=arguments.rounds, seconds=arguments.seconds))


if __name__ == "__main__":
    main()
