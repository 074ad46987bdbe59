"""The closed-form affect head: class probabilities to mean and variance of valence and arousal, inside the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from emomusic_edge.contracts import ValenceArousal


@dataclass(frozen=True, slots=True)
class LabelAffect:
    """What people annotated pictures of one emotion with, in FindingEmo units.

    Attributes:
        mean, sd: over FindingEmo's annotations that carry the label.
    """

    mean: ValenceArousal
    sd: ValenceArousal


def label_affect(valence: float, arousal: float, valence_sd: float, arousal_sd: float) -> LabelAffect:
    """Shorthand for a table row."""
    return LabelAffect(ValenceArousal(valence, arousal), ValenceArousal(valence_sd, arousal_sd))


# Means and standard deviations over FindingEmo's 25,869 annotations (Mertens et al. 2024) with the label. Neutral is
# not among its labels: the point is the design's; the spread of valence is that of its blandest labels (Boredom 0.94,
# Interest 0.99), that of arousal is over the 3,403 annotations at valence 0.
FINDINGEMO_LABELS = {
    "angry": label_affect(-1.80, 3.99, 1.11, 1.32),
    "disgust": label_affect(-1.62, 3.31, 1.08, 1.46),
    "fear": label_affect(-1.79, 3.76, 1.13, 1.44),
    "happy": label_affect(2.02, 3.04, 0.86, 1.53),
    "sad": label_affect(-1.65, 3.44, 1.18, 1.48),
    "surprise": label_affect(0.35, 2.76, 1.41, 1.55),
    "neutral": label_affect(0.0, 2.0, 0.97, 1.47),
}


def mixture_moments(
    probabilities: Sequence[float], labels: Sequence[LabelAffect]
) -> tuple[ValenceArousal, ValenceArousal]:
    """Mean and variance of the mixture that the probabilities weigh: the law of total variance.

    mean = sum p m;  variance = sum p (sd^2 + m^2) - mean^2, that is the spread within the labels plus the spread
    between them. The graph computes the same; this is for people and tests.
    """
    means, squares = _tables(labels)
    p = np.asarray(probabilities, dtype=np.float64)
    mean = p @ means
    variance = p @ squares - mean**2
    return ValenceArousal(*map(float, mean)), ValenceArousal(*map(float, variance))


def append_affect_head(model: onnx.ModelProto, probabilities: str, labels: Sequence[LabelAffect]) -> onnx.ModelProto:
    """Replace a classifier's output by `mean` [2] and `variance` [2] in FindingEmo units.

    Args:
        model: gives `probabilities` float32 [1, C], rows summing to 1.
        probabilities: that output's name.
        labels: C rows, in the order of the classes.

    Returns:
        A new model.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    means, squares = _tables(labels)
    graph = result.graph
    graph.initializer.extend(
        [
            numpy_helper.from_array(means.astype(np.float32), "affect_head/means"),
            numpy_helper.from_array(squares.astype(np.float32), "affect_head/squares"),
            numpy_helper.from_array(np.array([2], dtype=np.int64), "affect_head/pair"),
        ]
    )
    graph.node.extend(
        [
            helper.make_node("MatMul", [probabilities, "affect_head/means"], ["affect_head/mean_row"]),
            helper.make_node("MatMul", [probabilities, "affect_head/squares"], ["affect_head/square_row"]),
            helper.make_node("Mul", ["affect_head/mean_row", "affect_head/mean_row"], ["affect_head/mean_squared"]),
            helper.make_node("Sub", ["affect_head/square_row", "affect_head/mean_squared"], ["affect_head/spread"]),
            helper.make_node("Reshape", ["affect_head/mean_row", "affect_head/pair"], ["mean"]),
            helper.make_node("Reshape", ["affect_head/spread", "affect_head/pair"], ["variance"]),
        ]
    )
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("mean", "variance"))
    return result


def _tables(labels: Sequence[LabelAffect]) -> tuple[np.ndarray, np.ndarray]:
    means = np.array([label.mean for label in labels], dtype=np.float64)
    sds = np.array([label.sd for label in labels], dtype=np.float64)
    return means, sds**2 + means**2
