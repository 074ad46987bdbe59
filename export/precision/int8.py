"""fp32 to int8 by Q/DQ nodes: the trunk's convolutions and Linear layers, and nothing else.

int8 both ways with zero points of 0 and weights a channel at a time, which is what TensorRT takes. Measured on the
reference networks (reference.py), calibrated with 30 pictures and held against fp32 on 35 of other files; mean absolute
difference in FindingEmo units for valence / arousal, the worse rank correlation, speed against fp32 on two x86 cores.
The ViT's rows are of the tower before one_picture.py, which made int8 2.9 times as fast as fp32, 0.013 / 0.015 apart:

| network   | ranges              | quantised          | difference    | rank  | speed |
|-----------|---------------------|--------------------|---------------|-------|-------|
| ViT-B/32  | 99.999th percentile | all                | 0.012 / 0.006 | 0.999 | 2.2   |
|           | 99.99th             | all                | 0.011 / 0.009 | 0.999 |       |
|           | minimum, maximum    | all                | 0.010 / 0.007 | 0.997 | 2.3   |
|           |                     | not the patches    | 0.018 / 0.006 | 0.999 |       |
|           |                     | not the projection | 0.011 / 0.007 | 0.997 |       |
| ResNet-18 | 99.999th percentile | all                | 0.014 / 0.008 | 0.999 | 2.1   |
|           |                     | not the first      | 0.013 / 0.008 | 0.999 | 2.3   |
|           | 99.99th             | all                | 0.013 / 0.007 | 0.999 |       |
|           | 99.9th              | all                | 0.069 / 0.022 | 0.997 |       |
|           | minimum, maximum    | all                | 0.021 / 0.009 | 0.999 | 2.1   |
|           | entropy             | all                | 0.021 / 0.009 | 0.999 |       |

So no node of the trunk is left out. The heads are: T rows through them cost under 1 % of the trunk, and what they lose
would be seen in the variance.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from emomusic_edge.errors import ModelError

from .graph_parts import ones_masks, stripped, weighted_nodes, with_a_pair_for_each_consumer, with_exact_shortcuts
from .int8_layout import with_normalisation_in_weights, with_pooling_in_int8

Calibration = Literal["minmax", "percentile", "entropy"]
_METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}

_EXTRA = {
    # TensorRT takes int8 with zero points of 0.
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    # TensorRT dequantises no int32; ONNX Runtime quantises the bias by itself when it loads the graph.
    "QuantizeBias": False,
    # Of a tensor's values over all pictures: ONNX Runtime's default, named because 99.9 would be five times as wrong.
    "CalibPercentile": 99.999,
    # A Gemm of int8 values and a float bias may leave floats: one rounding less, and no values to unpack again.
    "OpTypesToExcludeOutputQuantization": ["Gemm"],
}


def int8_from_fp32(
    model: onnx.ModelProto, images: Sequence[NDArray[np.uint8]], calibration: Calibration = "percentile"
) -> onnx.ModelProto:
    """Quantise the convolutions and Linear layers of the trunk.

    Args:
        model: as onnx_from_network gives it; not changed.
        images: calibration pictures, uint8 [1, H, W, 3] as `prepare` gives them.
        calibration: how ranges come from what the pictures give.

    Raises:
        ModelError: there is no picture, nothing to quantise, or ONNX Runtime's quantiser fails.
    """
    if not images:
        raise ModelError("int8 needs pictures to calibrate with, none was given.")
    nodes = [node.name for node in weighted_nodes(model.graph)]
    if not nodes:
        raise ModelError("The graph has no convolution and no Linear layer in its trunk to quantise.")
    source = onnx.ModelProto()
    source.CopyFrom(model)
    del source.graph.value_info[:]
    with_normalisation_in_weights(source)
    # Else the quantiser advises a preparation that fuses LayerNorm and attention into operators TensorRT does not know.
    onnx.helper.set_model_props(source, {"onnx.quant.pre_process": "onnxruntime.quant"})
    with tempfile.TemporaryDirectory(prefix="emomusic-edge-") as scratch:
        target = Path(scratch) / "int8.onnx"
        try:
            # The histograms tell of themselves by print.
            with contextlib.redirect_stdout(io.StringIO()):
                quantize_static(
                    source,
                    str(target),
                    _Pictures(images, ones_masks(model.graph)),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QInt8,
                    weight_type=QuantType.QInt8,
                    nodes_to_quantize=nodes,
                    calibrate_method=_METHODS[calibration],
                    extra_options=_EXTRA,
                )
        except Exception as cause:
            raise ModelError(f"ONNX Runtime could not quantise the graph: {cause}") from cause
        quantised = onnx.load(target)
    with_exact_shortcuts(quantised, nodes)
    with_pooling_in_int8(quantised)
    with_a_pair_for_each_consumer(quantised)
    return stripped(quantised, model)


class _Pictures(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: Sequence[NDArray[np.uint8]], masks: NDArray[np.float32]) -> None:
        self._feeds: Iterator[dict[str, NDArray[np.generic]]] = iter(
            [{"image": image, "masks": masks} for image in images]
        )

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        return next(self._feeds, None)
