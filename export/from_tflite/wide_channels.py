"""Widens a network's pictures to whole blocks of channels, so that ONNX Runtime keeps them in its blocked layout.

The short-range BlazeFace grows its channels 24, 28, 32, 36, 42, … by padding the shortcut of a block with zeros. ONNX
Runtime computes convolutions in blocks of 16 channels (8 without AVX-512), and turns every picture that is no whole
number of them, or is padded, back and forth: a third of that network's time on two x86 cores. Channels of zeros, made
by filters of zeros, change no value that comes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

from .split_growth import with_split_growth

BLOCK = 16
# Of these a channel of zeros makes a channel of zeros, and the output has the channels of the inputs.
_KEEPERS = frozenset({"Relu", "MaxPool", "Add"})


def with_wide_channels(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with its inner pictures widened; one that pads no channels comes back as it was.

    Args:
        model: of fixed shapes, NCHW inside.

    Returns:
        A checked model of the same inputs and outputs.
    """
    widener = _Widener(shape_inference.infer_shapes(model).graph)
    return widener.widened(model) if widener.pads_channels else model


class _Widener:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._channels = {
            value.name: value.type.tensor_type.shape.dim[1].dim_value
            for value in graph.value_info
            if len(value.type.tensor_type.shape.dim) == 4
        }
        self._wide = self._widenable()
        self._new: list[onnx.TensorProto] = []
        # Pictures that are another one once both are widened.
        self._same: dict[str, str] = {}

    @property
    def pads_channels(self) -> bool:
        """Whether any picture's channels are padded between two that can be widened."""
        return any(self._pads_channels(node) and node.output[0] in self._wide for node in self._graph.node)

    def widened(self, model: onnx.ModelProto) -> onnx.ModelProto:
        nodes = [new for node in self._graph.node for new in self._rewritten(node)]
        for node in nodes:
            node.input[:] = [self._same.get(name, name) for name in node.input]
        result = onnx.ModelProto()
        result.CopyFrom(model)
        graph = result.graph
        used = {name for node in nodes for name in node.input}
        kept = [tensor for tensor in (*graph.initializer, *self._new) if tensor.name in used]
        for field, values in ((graph.node, nodes), (graph.initializer, kept)):
            del field[:]
            field.extend(values)
        with_split_growth(result)
        onnx.checker.check_model(result, full_check=True)
        return result

    def _widenable(self) -> set[str]:
        """The pictures that may have more channels: whatever makes or reads one can cope, and those tied to it may."""
        makers = {name: node for node in self._graph.node for name in node.output}
        readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self._graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node)
        wide = {
            name for name in self._channels if all(self._copes(node) for node in (makers[name], *readers.get(name, ())))
        }
        before = -1
        while before != len(wide):
            before = len(wide)
            for node in self._graph.node:
                tied = self._tied(node)
                if not wide.issuperset(tied):
                    wide.difference_update(tied)
        return wide

    def _copes(self, node: onnx.NodeProto) -> bool:
        return node.op_type in _KEEPERS or node.op_type == "Conv" or self._pads_channels(node)

    def _tied(self, node: onnx.NodeProto) -> list[str]:
        """Pictures around a node of which either all are widened or none."""
        if node.op_type in _KEEPERS or self._is_depthwise(node) or self._pads_channels(node):
            return [name for name in (*node.input, *node.output) if name not in self._constants]
        return []

    def _is_depthwise(self, node: onnx.NodeProto) -> bool:
        return node.op_type == "Conv" and _attribute(node, "group", 1) != 1

    def _pads_channels(self, node: onnx.NodeProto) -> bool:
        """Whether a node adds channels of zeros behind those there are, and nothing else."""
        if node.op_type != "Pad" or len(node.input) != 2:
            return False
        pads = self._constants[node.input[1]]
        return pads.shape == (8,) and pads[5] > 0 and not np.delete(pads, 5).any()

    def _width(self, name: str) -> int:
        channels = int(self._channels[name])
        return -(-channels // BLOCK) * BLOCK if name in self._wide else channels

    def _rewritten(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        if node.op_type == "Conv":
            yield self._wide_convolution(node)
        elif self._pads_channels(node) and node.output[0] in self._wide:
            # As a convolution, the shortcut stays in the blocked layout; a one and zeros give the very same numbers.
            # with_split_growth takes it out again where a block is built as BlazeFace's are.
            source, result = node.input[0], node.output[0]
            if self._width(source) == self._width(result):
                self._same[result] = self._same.get(source, source)
                return
            copying = np.eye(self._width(result), self._width(source), dtype=np.float32)[:, :, None, None]
            weights = self._constant(copying, f"{node.name}_weights")
            yield helper.make_node("Conv", [source, weights], [result], name=node.name, kernel_shape=(1, 1))
        else:
            yield _copy(node)

    def _wide_convolution(self, node: onnx.NodeProto) -> onnx.NodeProto:
        result = _copy(node)
        weights = self._constants[node.input[1]]
        filters = self._width(node.output[0]) if node.output[0] in self._wide else weights.shape[0]
        deep = self._is_depthwise(node)
        channels = weights.shape[1] if deep or node.input[0] not in self._wide else self._width(node.input[0])
        if (filters, channels) == weights.shape[:2]:
            return result
        for place, size in ((1, (filters, channels, *weights.shape[2:])), (2, (filters,))):
            if place < len(node.input):
                values = self._constants[node.input[place]]
                wider = np.zeros(size, values.dtype)
                wider[tuple(slice(length) for length in values.shape)] = values
                result.input[place] = self._constant(wider, f"{node.name}_wide_{place}")
        for attribute in result.attribute:
            if deep and attribute.name == "group":
                attribute.i = filters
        return result

    def _constant(self, values: NDArray[Any], name: str) -> str:
        self._new.append(numpy_helper.from_array(values, name))
        return name


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    result = onnx.NodeProto()
    result.CopyFrom(node)
    return result


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)
