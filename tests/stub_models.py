"""Tiny real models, written as real bundles, so that tests run real sessions without weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from emomusic_edge.export.bundle import IR_VERSION, OPSET, WRITTEN_BY, write_bundle
from emomusic_edge.manifest import ImageInput, Manifest, MaskBlock, McDropout, SourceRecord

SIZE_PX = 8
FEATURES = 4
HIDDEN = 3
MASK_WIDTH = FEATURES + 2 * HIDDEN
DROPOUT_P = 0.3

_rng = np.random.default_rng(7)
FEATURE_WEIGHTS = _rng.normal(size=(3, FEATURES)).astype(np.float32)
HEADS = {
    axis: (
        _rng.normal(size=(FEATURES, HIDDEN)).astype(np.float32),
        _rng.normal(size=(HIDDEN, 1)).astype(np.float32),
    )
    for axis in ("valence", "arousal")
}


def reference_samples(image: NDArray[np.uint8], masks: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the stub computes, in numpy: image [1, H, W, 3] as the model sees it, masks [T, K] -> samples [T, 2]."""
    features = (image.astype(np.float64) / 255.0).mean(axis=(1, 2)) @ FEATURE_WEIGHTS
    columns = []
    for place, (first, second) in enumerate(HEADS.values()):
        hidden = np.maximum((features * masks[:, :FEATURES]) @ first, 0)
        start = FEATURES + place * HIDDEN
        columns.append((hidden * masks[:, start : start + HIDDEN]) @ second)
    return np.concatenate(columns, axis=1)


def mc_dropout_graph() -> onnx.ModelProto:
    """One trunk pass, T rows of masks through two heads, as the contract of emomusic_edge.manifest asks."""
    initial = [numpy_helper.from_array(FEATURE_WEIGHTS, "feature_weights")]
    initial.append(numpy_helper.from_array(np.float32(255.0), "full"))
    initial.append(numpy_helper.from_array(np.float32(1.0), "one"))
    for name, ends in (("features", (0, FEATURES)), ("valence", (FEATURES, FEATURES + HIDDEN))):
        initial += [numpy_helper.from_array(np.array([v], np.int64), f"{name}_{i}") for i, v in enumerate(ends)]
    ends = (FEATURES + HIDDEN, MASK_WIDTH)
    initial += [numpy_helper.from_array(np.array([v], np.int64), f"arousal_{i}") for i, v in enumerate(ends)]
    initial.append(numpy_helper.from_array(np.array([1], np.int64), "columns"))
    initial.append(numpy_helper.from_array(np.array(0, np.int64), "rows"))
    nodes = [
        helper.make_node("Cast", ["image"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["levels", "full"], ["x"]),
        helper.make_node("ReduceMean", ["x"], ["colour"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["colour", "feature_weights"], ["features"]),
        helper.make_node("Slice", ["masks", "features_0", "features_1", "columns"], ["feature_mask"]),
        helper.make_node("Mul", ["features", "feature_mask"], ["dropped"]),
    ]
    for axis, (first, second) in HEADS.items():
        initial.append(numpy_helper.from_array(first, f"{axis}_first"))
        initial.append(numpy_helper.from_array(second, f"{axis}_second"))
        nodes += [
            helper.make_node("MatMul", ["dropped", f"{axis}_first"], [f"{axis}_linear"]),
            helper.make_node("Relu", [f"{axis}_linear"], [f"{axis}_hidden"]),
            helper.make_node("Slice", ["masks", f"{axis}_0", f"{axis}_1", "columns"], [f"{axis}_mask"]),
            helper.make_node("Mul", [f"{axis}_hidden", f"{axis}_mask"], [f"{axis}_dropped"]),
            helper.make_node("MatMul", [f"{axis}_dropped", f"{axis}_second"], [axis]),
        ]
    nodes += [
        helper.make_node("Concat", ["valence", "arousal"], ["samples"], axis=1),
        helper.make_node("ReduceMean", ["samples"], ["mean"], axes=[0], keepdims=0),
        helper.make_node("Sub", ["samples", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "centred"], ["squared"]),
        helper.make_node("ReduceMean", ["squared"], ["biased"], axes=[0], keepdims=0),
        helper.make_node("Shape", ["samples"], ["shape"]),
        helper.make_node("Gather", ["shape", "rows"], ["t"], axis=0),
        helper.make_node("Cast", ["t"], ["t_float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["t_float", "one"], ["freedom_or_0"]),
        helper.make_node("Max", ["freedom_or_0", "one"], ["freedom"]),
        helper.make_node("Div", ["t_float", "freedom"], ["bessel"]),
        helper.make_node("Mul", ["biased", "bessel"], ["variance"]),
    ]
    graph = helper.make_graph(
        nodes,
        "stub",
        [
            helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIZE_PX, SIZE_PX, 3]),
            helper.make_tensor_value_info("masks", TensorProto.FLOAT, ["T", MASK_WIDTH]),
        ],
        [
            helper.make_tensor_value_info("mean", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("variance", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["T", 2]),
        ],
        initial,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def mc_dropout_manifest(source: Literal["scene", "face"] = "face") -> Manifest:
    """The stub's manifest."""
    return Manifest(
        name=f"{source}-stub",
        title="stub model",
        kind="mc_dropout",
        source=source,
        files={"model.onnx": "0" * 64},
        opset=OPSET,
        image=ImageInput(
            height_px=SIZE_PX, width_px=SIZE_PX, colour_order="rgb", resize="area", crop="none", normalisation="x / 255"
        ),
        output_units="findingemo",
        mc_dropout=McDropout(
            p=DROPOUT_P,
            mask_width=MASK_WIDTH,
            layout=(
                MaskBlock(name="features", offset=0, width=FEATURES),
                MaskBlock(name="valence", offset=FEATURES, width=HIDDEN),
                MaskBlock(name="arousal", offset=FEATURES + HIDDEN, width=HIDDEN),
            ),
        ),
        weights=SourceRecord(name="random numbers", sha256=None, licence="Apache-2.0"),
        written_by=WRITTEN_BY,
    )


def write_mc_dropout_bundle(folder: Path, source: Literal["scene", "face"] = "face") -> Manifest:
    """Write the stub as a bundle."""
    return write_bundle(folder, mc_dropout_graph(), mc_dropout_manifest(source))
