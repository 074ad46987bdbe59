"""An ONNX graph under construction from a TFLite one: which tensors exist, under what name, in which layout.

TFLite holds pictures as NHWC, ONNX convolutions want NCHW. Every four-dimensional tensor is kept as NCHW inside and
turned only at the graph's input and output and where an operator binds the layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import tflite
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from emomusic_edge.errors import ModelError

from .reader import TfliteGraph, TfliteOperator

# Below the bound of 20 that TensorRT 10.3 sets, and the last with ReduceMean's axes as an attribute.
OPSET = 17
# The IR version of that opset's day: ONNX Runtime refuses one newer than it knows.
IR_VERSION = 8

NCHW_FROM_NHWC = (0, 3, 1, 2)
NHWC_FROM_NCHW = (0, 2, 3, 1)
# Where each NHWC axis stands in NCHW.
AXIS_IN_NCHW = (0, 2, 3, 1)

# Bounds of the fused activations that clip.
_CLIPS = {
    tflite.ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
    tflite.ActivationFunctionType.RELU6: (0.0, 6.0),
}


class NchwGraph:
    """Collects nodes and constants; tensors are named by their index in the TFLite file."""

    def __init__(self, graph: TfliteGraph, input_name: str, output_names: Sequence[str]) -> None:
        self._tensors = graph.tensors
        self._entry = graph.inputs[0]
        self._input_name = input_name
        self._output_names = dict(zip(graph.outputs, output_names, strict=True))
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._value_infos: list[onnx.ValueInfoProto] = []
        self._names: dict[int, str] = {}
        self._constants = {i: tensor.constant for i, tensor in enumerate(self._tensors) if tensor.constant is not None}
        # Zero padding of height and width that waits for a convolution to do it: source, (begin, end) of each.
        self._spatial_pads: dict[int, tuple[int, tuple[int, int], tuple[int, int]]] = {}
        for index in (self._entry, *self._output_names):
            tensor = self._tensors[index]
            if tensor.type_name != "FLOAT32" or index in self._constants:
                raise ModelError(f"TFLite tensor {tensor.name!r} ({tensor.type_name}) cannot be an input or output.")
        self._names[self._entry] = input_name
        if len(self.shape(self._entry)) == 4:
            self._names[self._entry] = self.node("Transpose", [input_name], f"{input_name}_nchw", perm=NCHW_FROM_NHWC)

    def shape(self, index: int) -> tuple[int, ...]:
        """A tensor's shape as the file has it."""
        return self._tensors[index].shape

    def check_ends(self, operator: TfliteOperator) -> None:
        """See that an operator reads what exists and makes one tensor that does not.

        Raises:
            ModelError: it does not.
        """
        known = self._names.keys() | self._constants.keys() | self._spatial_pads.keys()
        if not operator.inputs or any(index not in known for index in operator.inputs if index != -1):
            raise ModelError(f"TFLite {operator} reads a tensor that no operator before it makes.")
        if operator.inputs[0] == -1 or len(operator.outputs) != 1 or operator.outputs[0] in known | {-1}:
            raise ModelError(f"TFLite {operator} does not make one new tensor of another.")

    def constant(self, operator: TfliteOperator, position: int, dtype: type[np.generic]) -> NDArray[Any]:
        """The values of an operator's constant input, in the file's layout.

        Raises:
            ModelError: the input is missing, no constant, or of another type.
        """
        index = operator.inputs[position] if position < len(operator.inputs) else -1
        values = self._constants.get(index)
        if values is None or values.dtype != dtype:
            raise ModelError(f"TFLite {operator}: input {position} is not the constant {dtype.__name__} it needs.")
        return values

    def fold(self, index: int, values: NDArray[Any]) -> None:
        """Make a tensor a constant."""
        self._constants[index] = values

    def delay_spatial_pad(self, index: int, source: int, height: tuple[int, int], width: tuple[int, int]) -> None:
        """Make a tensor the zero-padded `source`, without a node as long as only convolutions read it."""
        self._spatial_pads[index] = (source, height, width)

    def spatial_pad(self, index: int) -> tuple[int, tuple[int, int], tuple[int, int]]:
        """What to convolve in place of a tensor, and with what padding (begin, end) of height and width."""
        return self._spatial_pads.get(index, (index, (0, 0), (0, 0)))

    def value(self, index: int) -> str:
        """The ONNX name of a float tensor, NCHW where it has four dimensions.

        Raises:
            ModelError: it is an integer tensor.
        """
        if index in self._names:
            return self._names[index]
        if index in self._spatial_pads:
            source, (top, bottom), (left, right) = self._spatial_pads[index]
            pads = self.initializer(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
            self.define(index, "Pad", [self.value(source), pads])
            return self._names[index]
        values = self._constants[index]
        if values.dtype != np.float32:
            raise ModelError(f"TFLite tensor {self._tensors[index].name!r} holds integers where floats are needed.")
        self._names[index] = self.initializer(values.transpose(NCHW_FROM_NHWC) if values.ndim == 4 else values)
        return self._names[index]

    def value_in_file_layout(self, index: int) -> str:
        """The ONNX name of a float tensor in the file's own layout."""
        name = self.value(index)
        if len(self.shape(index)) != 4:
            return name
        return self.node("Transpose", [name], f"{name}_nhwc_{len(self._nodes)}", perm=NHWC_FROM_NCHW)

    def initializer(self, values: NDArray[Any]) -> str:
        """Add a constant; returns its name."""
        name = f"constant_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node; returns its output's name."""
        name = f"{op_type}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op_type, inputs, [output], name=name, **attributes))
        return output

    def define(self, index: int, op_type: str, inputs: Sequence[str], activation: int = 0, **attributes: Any) -> None:
        """Add the node that makes a tensor, NCHW where it has four dimensions, and the activation fused into it.

        Raises:
            ModelError: the activation is one that BlazeFace and the starter face do not use.
        """
        shape = self.shape(index)
        name = f"tensor_{index}"
        if len(shape) != 4:
            name = self._output_names.get(index, name)
        if activation == tflite.ActivationFunctionType.NONE:
            self.node(op_type, inputs, name, **attributes)
        elif activation == tflite.ActivationFunctionType.RELU:
            self.node("Relu", [self.node(op_type, inputs, f"{name}_linear", **attributes)], name)
        elif activation in _CLIPS:
            bounds = [self.initializer(np.array(limit, np.float32)) for limit in _CLIPS[activation]]
            self.node("Clip", [self.node(op_type, inputs, f"{name}_linear", **attributes), *bounds], name)
        else:
            raise ModelError(f"The TFLite file fuses activation number {activation} into an operator; not known.")
        self._value_infos.append(_value_info(name, [shape[i] for i in NCHW_FROM_NHWC] if len(shape) == 4 else shape))
        self._names[index] = name

    def define_in_file_layout(self, index: int, op_type: str, inputs: Sequence[str], **attributes: Any) -> None:
        """Add the node that makes a tensor in the file's own layout, and turn it."""
        if len(self.shape(index)) == 4:
            inputs = [self.node(op_type, inputs, f"tensor_{index}_nhwc", **attributes)]
            op_type, attributes = "Transpose", {"perm": NCHW_FROM_NHWC}
        self.define(index, op_type, inputs, **attributes)

    def finish(self) -> onnx.ModelProto:
        """The whole model, its shapes held against those that the TFLite file declares.

        Raises:
            ModelError: an output is not made, or a shape disagrees.
        """
        for index, name in self._output_names.items():
            if index not in self._names or index == self._entry:
                raise ModelError(f"No operator of the TFLite file makes its output {self._tensors[index].name!r}.")
            if len(self.shape(index)) == 4:
                self.node("Transpose", [self.value(index)], name, perm=NHWC_FROM_NCHW)
        outputs = [_value_info(name, self.shape(index)) for index, name in self._output_names.items()]
        inner = [info for info in self._value_infos if info.name not in self._output_names.values()]
        inputs = [_value_info(self._input_name, self.shape(self._entry))]
        graph = helper.make_graph(self._nodes, "from_tflite", inputs, outputs, self._initializers, value_info=inner)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as cause:
            raise ModelError(f"The TFLite file contradicts itself: {str(cause).strip().splitlines()[-1]}") from cause
        # The declared shapes have done their work; quantisation tools stumble over them.
        del model.graph.value_info[:]
        return model


def _value_info(name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
