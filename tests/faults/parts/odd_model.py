"""A tiny real ONNX scene model that answers by the grey of its picture: sense, or each kind of nonsense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from emomusic_edge.contracts import Image
from emomusic_edge.export.bundle import IR_VERSION, OPSET, WRITTEN_BY, write_bundle
from emomusic_edge.manifest import ImageInput, Manifest, SourceRecord, UncertaintyGate

SIZE_PX = 8
LEVELS = 16
NAN, INF = float("nan"), float("inf")

# mean valence and arousal, their variances
SENSE = (1.5, 4.0, 0.2, 0.2)
NONSENSE = {
    "mean not a number": (NAN, 4.0, 0.2, 0.2),
    "mean infinite": (1.5, -INF, 0.2, 0.2),
    "variance not a number": (1.5, 4.0, 0.2, NAN),
    "variance infinite": (1.5, 4.0, INF, 0.2),
    "variance negative": (1.5, 4.0, -0.2, 0.2),
    "variance zero": (-3.0, 6.0, 0.0, 0.0),
    "mean overflown": (65504.0, 4.0, 0.2, 0.2),
}
_ROWS = [SENSE, *NONSENSE.values()]
_TABLE = np.array(_ROWS + [SENSE] * (LEVELS - len(_ROWS)), np.float32)


def picture(kind: str | None, noise: NDArray[np.uint8]) -> Image:
    """A picture on which the model answers with that nonsense; None for sense.

    Args:
        kind: of NONSENSE.
        noise: uint8 [H, W, 3], 0..7: a sensor's, so that no two pictures are the same.
    """
    row = 0 if kind is None else 1 + list(NONSENSE).index(kind)
    return (row * (256 // LEVELS) + 4 + noise).astype(np.uint8)


def write_odd_bundle(folder: Path) -> Manifest:
    """Write it as a bundle."""
    constants = [
        numpy_helper.from_array(_TABLE[:, :2].copy(), "means"),
        numpy_helper.from_array(_TABLE[:, 2:].copy(), "variances"),
        numpy_helper.from_array(np.float32(256 // LEVELS), "step"),
    ]
    nodes = [
        helper.make_node("Cast", ["image"], ["grey"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["grey"], ["level"], keepdims=0),
        helper.make_node("Div", ["level", "step"], ["place"]),
        helper.make_node("Cast", ["place"], ["row"], to=TensorProto.INT64),
        helper.make_node("Gather", ["means", "row"], ["mean"], axis=0),
        helper.make_node("Gather", ["variances", "row"], ["variance"], axis=0),
    ]
    graph = helper.make_graph(
        nodes,
        "odd",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIZE_PX, SIZE_PX, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("mean", "variance")],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    manifest = Manifest(
        name="scene-odd",
        title="odd model",
        kind="closed_form",
        source="scene",
        files={"model.onnx": "0" * 64},
        opset=OPSET,
        image=ImageInput(
            height_px=SIZE_PX, width_px=SIZE_PX, colour_order="rgb", resize="area", crop="none", normalisation="none"
        ),
        output_units="findingemo",
        gate=UncertaintyGate(valence=0.4, arousal=0.4),
        weights=SourceRecord(name="made up", sha256=None, licence="Apache-2.0"),
        written_by=WRITTEN_BY,
    )
    return write_bundle(folder, model, manifest)
