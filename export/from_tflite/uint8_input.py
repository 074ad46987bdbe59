"""Give a converted model the bundle's `image` input: uint8 pictures, with grey and normalisation in the graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from emomusic_edge.errors import ModelError

IMAGE_INPUT = "image"

# ITU-R BT.601 luma, as OpenCV's cvtColor uses it, in the order of a BGR picture.
GREY_FROM_BGR = (0.114, 0.587, 0.299)


def with_uint8_input(
    model: onnx.ModelProto,
    *,
    grey_from: Sequence[float] | None = None,
    scale: float = 2.0 / 255.0,
    offset: float = -1.0,
    name: str = IMAGE_INPUT,
) -> onnx.ModelProto:
    """Put a cast, an optional grey conversion and `x * scale + offset` before a model.

    Args:
        model: with one input, float32 [1, H, W, C], C = 3, or 1 with `grey_from`; it is left as it is.
        grey_from: the weight of each of the picture's three channels in the grey value (GREY_FROM_BGR); None keeps
            the colours.
        scale: what values 0..255 are multiplied by; with `offset`, the default takes them to -1..1, which is both
            MediaPipe's x / 127.5 - 1 and the starter face model's (x / 255 - 0.5) * 2.
        offset: what is then added.
        name: of the new input.

    Returns:
        A model with the input uint8 [1, H, W, 3] and the same outputs.

    Raises:
        ModelError: the model's input is another one.
    """
    graph = model.graph
    channels = 3 if grey_from is None else 1
    inputs = [(value.name, _shape(value), value.type.tensor_type.elem_type) for value in graph.input]
    if len(inputs) != 1 or inputs[0][2] != TensorProto.FLOAT or len(inputs[0][1]) != 4 or inputs[0][1][3] != channels:
        raise ModelError(f"Inputs {inputs} found in the graph, one float32 [1, H, W, {channels}] expected.")
    old, shape, _ = inputs[0]
    if name in {old, *(output for node in graph.node for output in node.output)}:
        raise ModelError(f"The graph already has a tensor called {name!r}; the new input needs that name.")

    nodes = [helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT)]
    constants = {f"{name}_scale": np.float32(scale), f"{name}_offset": np.float32(offset)}
    values = f"{name}_float"
    if grey_from is not None:
        constants[f"{name}_grey_weights"] = np.asarray(grey_from, np.float32).reshape(3, 1)
        nodes.append(helper.make_node("MatMul", [values, f"{name}_grey_weights"], [f"{name}_grey"]))
        values = f"{name}_grey"
    nodes.append(helper.make_node("Mul", [values, f"{name}_scale"], [f"{name}_scaled"]))
    nodes.append(helper.make_node("Add", [f"{name}_scaled", f"{name}_offset"], [old]))

    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    result.graph.node.extend([*nodes, *graph.node])
    result.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    del result.graph.input[:]
    result.graph.input.append(helper.make_tensor_value_info(name, TensorProto.UINT8, [*shape[:3], 3]))
    onnx.checker.check_model(result, full_check=True)
    return result


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(side.dim_value for side in value.type.tensor_type.shape.dim)
