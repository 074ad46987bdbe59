"""Small networks of the seed's kinds, loaded from checkpoints and exported, for the tests of the export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx
    from torch import nn

    from emomusic_edge.export.network.masked import MaskedRegressor
    from emomusic_edge.export.pictures import PictureSets
    from emomusic_edge.manifest import ImageInput

SMALL_PX = 64
P = 0.3


@dataclass(frozen=True)
class Small:
    """A seed model, the network that was loaded from its checkpoint, and the network's graph."""

    seed_model: nn.Module
    checkpoint: Path
    network: MaskedRegressor
    graph: onnx.ModelProto
    content: bytes

    @property
    def mask_width(self) -> int:
        return self.network.mask_width


def small_network(source: str, folder: Path) -> Small:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from seed_models import face_model, scene_model

    from emomusic_edge.export.checkpoint.load import load_checkpoint
    from emomusic_edge.export.network.masked import CLIP, IMAGENET, MaskedRegressor
    from emomusic_edge.export.network.to_onnx import onnx_from_network, quiet_exporter

    quiet_exporter()
    model = scene_model() if source == "scene" else face_model()
    checkpoint = folder / f"{source}_model.pth"
    torch.save(model.state_dict(), checkpoint)
    loaded = load_checkpoint(checkpoint, source, dropout_p=P)  # type: ignore[arg-type]
    network = MaskedRegressor(loaded.regressor, CLIP if source == "scene" else IMAGENET)
    graph = onnx_from_network(network, SMALL_PX)
    return Small(model, checkpoint, network, graph, graph.SerializeToString())


def rule(transform: str = "clip", size_px: int = SMALL_PX) -> ImageInput:
    """The manifest's rule that fits a training transform."""
    from emomusic_edge.export.training_transform import image_rule

    return image_rule(transform, size_px, "x")  # type: ignore[arg-type]


def prepared(pictures: PictureSets, transform: str = "clip") -> list[NDArray[np.uint8]]:
    """The held pictures as the small networks get them."""
    from emomusic_edge.preprocess import prepare

    return [prepare(picture, rule(transform)) for picture in pictures.held]


def without_numbers(small: Small) -> bytes:
    """The same graph with a weight that is not a number."""
    import onnx
    from onnx import numpy_helper

    broken = onnx.ModelProto()
    broken.CopyFrom(small.graph)
    for tensor in broken.graph.initializer:
        if tensor.name.endswith("valence_head.8.bias"):
            tensor.CopyFrom(numpy_helper.from_array(np.full(tensor.dims, np.nan, np.float32), tensor.name))
    return broken.SerializeToString()
