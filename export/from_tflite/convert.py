"""Convert a TFLite file to ONNX: the operators of MediaPipe's BlazeFace detectors and of the starter face model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import tflite

from emomusic_edge.errors import ModelError

from .nchw_graph import AXIS_IN_NCHW, NchwGraph
from .reader import TfliteOperator, read_tflite
from .uint8_input import with_uint8_input
from .wide_channels import with_wide_channels


def onnx_from_tflite(
    content: bytes, *, input_name: str = "input", output_names: Sequence[str] | None = None
) -> onnx.ModelProto:
    """Convert a float32 TFLite model; its input and outputs keep their shapes (NHWC), types and order.

    Sparse, float16 and int8 weights become dense float32 ones. Activations stay float32 throughout, also where
    TFLite's own kernels would quantise them on the fly (convolutions with int8 weights).

    Args:
        content: the bytes of the file.
        input_name: what to call the one input.
        output_names: what to call the outputs, in the file's order; `output_0`, … when not given.

    Returns:
        A checked model of opset 17 with fixed shapes.

    Raises:
        ModelError: the file is damaged, or holds something that has no conversion; the message names it.
    """
    source = read_tflite(content)
    if len(source.inputs) != 1 or not source.outputs or len(set(source.outputs)) != len(source.outputs):
        raise ModelError(f"The TFLite file has inputs {source.inputs} and outputs {source.outputs}; one and some.")
    names = [f"output_{i}" for i in range(len(source.outputs))] if output_names is None else list(output_names)
    if len(names) != len(source.outputs):
        raise ModelError(f"The TFLite file has {len(source.outputs)} outputs, {len(names)} names were given.")
    graph = NchwGraph(source, input_name, names)
    for operator in source.operators:
        graph.check_ends(operator)
        _CONVERSIONS[operator.kind](graph, operator)
    return graph.finish()


def detector_graph(content: bytes) -> onnx.ModelProto:
    """Convert one of MediaPipe's BlazeFace files to the graph of a `detector` bundle.

    Returns:
        Input `image` uint8 [1, H, W, 3] RGB, taken to -1..1 inside; outputs `boxes` float32 [1, N, 16] and `scores`
        float32 [1, N, 1] (raw logits).

    Raises:
        ModelError: the file does not convert, or its outputs are not those of a BlazeFace.
    """
    source = read_tflite(content)
    shapes = [source.tensors[index].shape for index in source.outputs]
    names = [{16: "boxes", 1: "scores"}.get(shape[-1], "") if len(shape) == 3 else "" for shape in shapes]
    if sorted(names) != ["boxes", "scores"] or shapes[0][:-1] != shapes[1][:-1]:
        raise ModelError(f"TFLite outputs of shapes {shapes} found; a BlazeFace has [1, N, 16] and [1, N, 1].")
    return with_uint8_input(with_wide_channels(onnx_from_tflite(content, output_names=names)))


def _pictures(graph: NchwGraph, operator: TfliteOperator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of the first input and of the output, NHWC."""
    source, result = graph.shape(operator.inputs[0]), graph.shape(operator.outputs[0])
    if len(source) != 4 or len(result) != 4:
        raise ModelError(f"TFLite {operator} takes {list(source)} to {list(result)}; four dimensions are expected.")
    return source, result


def _window(
    operator: TfliteOperator, axis: str, size: int, window: int, padded: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Stride, dilation and padding (begin, end) of a convolution or pooling along `H` or `W`.

    SAME asks for ceil(size / stride) outputs and puts the odd pixel of padding at the end. Source: TensorFlow's notes
    on padding in `tf.nn`.
    """
    stride = int(operator.options[f"Stride{axis}"])
    dilation = int(operator.options.get(f"Dilation{axis}Factor", 1))
    if stride < 1 or dilation < 1 or window < 1:
        raise ModelError(f"TFLite {operator}: stride {stride}, dilation {dilation} or window {window} is below 1.")
    if operator.options["Padding"] == tflite.Padding.VALID:
        return (stride, dilation, *padded)
    reach = (window - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return stride, dilation, total // 2, total - total // 2


def _convolution(graph: NchwGraph, operator: TfliteOperator) -> None:
    weights = graph.constant(operator, 1, np.float32)
    # Only a VALID convolution's own padding is free to take over that of a PAD before it.
    valid = operator.options["Padding"] == tflite.Padding.VALID
    entry, rows, columns = graph.spatial_pad(operator.inputs[0]) if valid else (operator.inputs[0], (0, 0), (0, 0))
    source, _ = _pictures(graph, operator)
    depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    groups = source[3] if depthwise else 1
    # TFLite: OHWI, and 1HWO for depthwise; ONNX: OIHW.
    order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
    if weights.ndim != 4 or weights.shape[0 if depthwise else 3] != (1 if depthwise else source[3]):
        raise ModelError(f"TFLite {operator}: weights {list(weights.shape)} do not fit a picture {list(source)}.")
    if depthwise and weights.shape[3] % groups:
        raise ModelError(f"TFLite {operator}: {weights.shape[3]} filters over {groups} channels.")
    tall, wide = weights.shape[1:3]
    stride_h, dilation_h, top, bottom = _window(operator, "H", source[1], tall, rows)
    stride_w, dilation_w, left, right = _window(operator, "W", source[2], wide, columns)
    inputs = [graph.value(entry), graph.initializer(weights.transpose(order))]
    if len(operator.inputs) > 2 and operator.inputs[2] != -1:
        inputs.append(graph.initializer(graph.constant(operator, 2, np.float32)))
    graph.define(
        operator.outputs[0],
        "Conv",
        inputs,
        int(operator.options["FusedActivationFunction"]),
        kernel_shape=(tall, wide),
        strides=(stride_h, stride_w),
        dilations=(dilation_h, dilation_w),
        pads=(top, left, bottom, right),
        group=groups,
    )


def _max_pool(graph: NchwGraph, operator: TfliteOperator) -> None:
    source, _ = _pictures(graph, operator)
    tall, wide = int(operator.options["FilterHeight"]), int(operator.options["FilterWidth"])
    stride_h, _, top, bottom = _window(operator, "H", source[1], tall, (0, 0))
    stride_w, _, left, right = _window(operator, "W", source[2], wide, (0, 0))
    graph.define(
        operator.outputs[0],
        "MaxPool",
        [graph.value(operator.inputs[0])],
        int(operator.options["FusedActivationFunction"]),
        kernel_shape=(tall, wide),
        strides=(stride_h, stride_w),
        pads=(top, left, bottom, right),
    )


def _add(graph: NchwGraph, operator: TfliteOperator) -> None:
    shapes = [graph.shape(index) for index in operator.inputs]
    # Of equal rank, broadcasting means the same in either layout.
    if len(shapes) != 2 or len(shapes[0]) != len(shapes[1]):
        raise ModelError(f"TFLite {operator} adds shapes {shapes}; two of the same rank are expected.")
    activation = int(operator.options["FusedActivationFunction"])
    graph.define(operator.outputs[0], "Add", [graph.value(index) for index in operator.inputs], activation)


def _pad(graph: NchwGraph, operator: TfliteOperator) -> None:
    _pictures(graph, operator)
    pads = graph.constant(operator, 1, np.int64)
    if pads.shape != (4, 2) or (pads < 0).any():
        raise ModelError(f"TFLite {operator}: paddings {pads.tolist()}; four pairs of 0 or more are expected.")
    index, entry = operator.outputs[0], operator.inputs[0]
    batch, rows, columns, channels = ((int(begin), int(end)) for begin, end in pads)
    if batch == channels == (0, 0):
        graph.delay_spatial_pad(index, entry, rows, columns)
        return
    order = (batch, channels, rows, columns)
    onnx_pads = np.array([begin for begin, _ in order] + [end for _, end in order], np.int64)
    graph.define(index, "Pad", [graph.value(entry), graph.initializer(onnx_pads)])


def _concatenation(graph: NchwGraph, operator: TfliteOperator) -> None:
    rank = len(graph.shape(operator.outputs[0]))
    axis = int(operator.options["Axis"])
    if not -rank <= axis < rank or any(len(graph.shape(index)) != rank for index in operator.inputs):
        raise ModelError(f"TFLite {operator} joins tensors along axis {axis} that do not have it.")
    axis = AXIS_IN_NCHW[axis % rank] if rank == 4 else axis % rank
    activation = int(operator.options["FusedActivationFunction"])
    graph.define(
        operator.outputs[0], "Concat", [graph.value(index) for index in operator.inputs], activation, axis=axis
    )


def _resize(graph: NchwGraph, operator: TfliteOperator) -> None:
    _, result = _pictures(graph, operator)
    mode = "asymmetric"
    if operator.options["HalfPixelCenters"]:
        mode = "half_pixel"
    elif operator.options["AlignCorners"]:
        mode = "align_corners"
    sizes = graph.initializer(np.array([result[0], result[3], result[1], result[2]], np.int64))
    inputs = [graph.value(operator.inputs[0]), "", "", sizes]
    graph.define(operator.outputs[0], "Resize", inputs, mode="linear", coordinate_transformation_mode=mode)


def _depth_to_space(graph: NchwGraph, operator: TfliteOperator) -> None:
    source, _ = _pictures(graph, operator)
    block = int(operator.options["BlockSize"])
    if block < 1 or source[3] % block**2:
        raise ModelError(f"TFLite {operator}: blocks of {block} from {source[3]} channels.")
    # TFLite reads the depth as row, column, channel: ONNX calls that DCR.
    graph.define(operator.outputs[0], "DepthToSpace", [graph.value(operator.inputs[0])], blocksize=block, mode="DCR")


def _reshape(graph: NchwGraph, operator: TfliteOperator) -> None:
    source, result = graph.shape(operator.inputs[0]), graph.shape(operator.outputs[0])
    if math.prod(source) != math.prod(result):
        raise ModelError(f"TFLite {operator} takes {list(source)} to {list(result)}.")
    # A single channel lies in memory alike in both layouts.
    same = len(source) == 4 and source[3] == 1
    name = graph.value(operator.inputs[0]) if same else graph.value_in_file_layout(operator.inputs[0])
    sizes = graph.initializer(np.array(result, np.int64))
    graph.define_in_file_layout(operator.outputs[0], "Reshape", [name, sizes])


def _mean(graph: NchwGraph, operator: TfliteOperator) -> None:
    entry, index = operator.inputs[0], operator.outputs[0]
    rank = len(graph.shape(entry))
    axes = sorted(int(axis) % rank for axis in graph.constant(operator, 1, np.int64).reshape(-1)) if rank else []
    keep = bool(operator.options["KeepDims"])
    if rank == 4 and axes == [1, 2]:
        graph.define(index, "ReduceMean", [graph.value(entry)], axes=[2, 3], keepdims=int(keep))
    else:
        name = graph.value_in_file_layout(entry)
        graph.define_in_file_layout(index, "ReduceMean", [name], axes=axes, keepdims=int(keep))


def _softmax(graph: NchwGraph, operator: TfliteOperator) -> None:
    beta = float(operator.options["Beta"])
    if beta != 1.0:
        raise ModelError(f"TFLite {operator} has beta {beta}, 1 expected.")
    axis = 1 if len(graph.shape(operator.outputs[0])) == 4 else -1
    graph.define(operator.outputs[0], "Softmax", [graph.value(operator.inputs[0])], axis=axis)


def _relu(graph: NchwGraph, operator: TfliteOperator) -> None:
    graph.define(operator.outputs[0], "Relu", [graph.value(operator.inputs[0])])


def _fold(graph: NchwGraph, operator: TfliteOperator) -> None:
    # The reader has already made constants dense and float32.
    values = graph.constant(operator, 0, np.float32)
    if values.shape != graph.shape(operator.outputs[0]):
        raise ModelError(f"TFLite {operator} changes the shape of a constant.")
    graph.fold(operator.outputs[0], values)


_CONVERSIONS: Mapping[str, Callable[[NchwGraph, TfliteOperator], None]] = {
    "ADD": _add,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DENSIFY": _fold,
    "DEPTHWISE_CONV_2D": _convolution,
    "DEPTH_TO_SPACE": _depth_to_space,
    "DEQUANTIZE": _fold,
    "MAX_POOL_2D": _max_pool,
    "MEAN": _mean,
    "PAD": _pad,
    "RELU": _relu,
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
    "SOFTMAX": _softmax,
}
