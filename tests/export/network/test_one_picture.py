"""The tower as it is exported, against transformers' own forward pass of the same weights."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from emomusic_edge.export.network.clip_tower import Activation, ClipTower, ClipTowerSizes  # noqa: E402
from emomusic_edge.export.network.masked import CLIP, MaskedRegressor  # noqa: E402
from emomusic_edge.export.network.one_picture import features_of_one  # noqa: E402
from emomusic_edge.export.network.regressor import AffectRegressor, HeadShape  # noqa: E402
from emomusic_edge.export.network.to_onnx import onnx_from_network  # noqa: E402

LAYERS = 3


def _tower(
    image_px: int = 64, patch_px: int = 16, activation: Activation = "quick_gelu", layers: int = LAYERS
) -> ClipTower:
    torch.manual_seed(3)
    tower = ClipTower(ClipTowerSizes(image_px, patch_px, 128, layers, 512, 96), activation).eval()
    with torch.no_grad():
        for name, weights in tower.named_parameters():
            # Away from transformers' own start, where biases are 0, scales 1 and the attention is flat.
            weights.add_(torch.randn_like(weights) * (0.3 if weights.dim() == 1 else 0.1))
            assert weights.abs().max() > 0, name
    return tower


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize(("image_px", "patch_px", "layers"), [(64, 16, 3), (64, 32, 1), (48, 8, 2)])
def test_answers_as_transformers_does(image_px: int, patch_px: int, layers: int, activation: Activation) -> None:
    tower = _tower(image_px, patch_px, activation, layers)
    for seed in range(3):
        picture = torch.randn(1, 3, image_px, image_px, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            whole, lean = tower(picture), features_of_one(tower, picture)
        assert whole.std() > 0.1
        torch.testing.assert_close(lean, whole, atol=2e-5, rtol=1e-4)


def test_every_token_still_matters() -> None:
    tower = _tower()
    picture = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = features_of_one(tower, picture)
        for row in range(4):
            for column in range(4):
                other = picture.clone()
                other[:, :, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] += 1.0
                assert (features_of_one(tower, other) - before).abs().max() > 1e-3


def test_a_trunk_of_another_kind_is_asked_as_it_is() -> None:
    trunk = torch.nn.Flatten()
    picture = torch.randn(1, 3, 4, 4)
    assert torch.equal(features_of_one(trunk, picture), picture.reshape(1, -1))


def test_the_graph_is_as_lean_as_it_is_meant_to_be(tmp_path: Path) -> None:
    tower = _tower()
    head = HeadShape(96, (16,), layer_norm=False)
    graph = onnx_from_network(
        MaskedRegressor(AffectRegressor(tower, {"valence": head, "arousal": head}, 0.3), CLIP), 64
    )
    trunk = [node for node in graph.graph.node if node.op_type in ("Gemm", "MatMul")]
    constants = {tensor.name for tensor in graph.graph.initializer}
    # Six Linear layers a block, the projection, two heads of two; and two products of activations a block.
    assert Counter(node.op_type for node in trunk) == {"Gemm": LAYERS * 6 + 1 + 4, "MatMul": LAYERS * 2}
    assert not any(node.input[1] in constants for node in trunk if node.op_type == "MatMul")
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    fused = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    # All but the first of the first block, the one before it, and none of the heads'.
    assert fused["SkipLayerNormalization"] >= LAYERS * 2
    assert fused["LayerNormalization"] <= 2


def test_the_last_block_computes_one_token_alone() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    tower = _tower()
    picture = torch.randn(1, 3, 64, 64)
    counts = []
    for ask in (tower, lambda given: features_of_one(tower, given)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            ask(picture)
        counts.append(counter.get_total_flops())
    tokens, width = 17, 128
    spared = 2 * (tokens - 1) * (2 * width * width + 2 * width * 512 + 2 * tokens * width)
    assert counts[0] - counts[1] == spared
