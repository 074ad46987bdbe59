"""Counts the multiply-adds and bytes of an ONNX graph: convolutions and matrix products, float and quantised.

Everything else (normalisation, softmax, activations) is left out: under 1 % of the arithmetic of these networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import onnx
from onnx import shape_inference
from onnx.helper import tensor_dtype_to_np_dtype

Kind = Literal["fp32", "fp16", "int8"]

# Where an operator's two factors stand among its inputs.
_FACTORS = {
    "Conv": (0, 1),
    "ConvInteger": (0, 1),
    "QLinearConv": (0, 3),
    "MatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "QLinearMatMul": (0, 3),
    "Gemm": (0, 1),
}
_CHANGES_FORM_ONLY = {"DequantizeLinear", "Cast", "Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze"}


@dataclass(frozen=True, slots=True)
class Product:
    """One operator as matrix products: `count` of [rows, inner] x [inner, columns].

    Attributes:
        name: the node's output.
        op: its type.
        kind: what its factors are.
        rows: of a convolution, places of its output.
        inner: terms of one sum.
        columns: of a convolution, output channels of a group.
        count: products of this shape: the batch, or a convolution's groups.
        weight_bytes: of the factor that is stored in the file, as stored; 0 where both are computed.
        activation_bytes: of the other factors and the output, each read or written once, as they pass.
    """

    name: str
    op: str
    kind: Kind
    rows: int
    inner: int
    columns: int
    count: int
    weight_bytes: int
    activation_bytes: int

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return self.rows * self.inner * self.columns * self.count


def products_of(model: onnx.ModelProto, samples: int = 64) -> tuple[Product, ...]:
    """Every convolution and matrix product of a graph, in its order.

    Args:
        model: with its weights inside.
        samples: what a symbolic dimension (T) counts as.

    Raises:
        ValueError: a shape cannot be inferred.
    """
    graph = _Graph(model, samples)
    return tuple(_product(graph, node) for node in graph.nodes if node.op_type in _FACTORS)


class _Graph:
    """A graph with every shape known."""

    def __init__(self, model: onnx.ModelProto, samples: int) -> None:
        fixed = onnx.ModelProto()
        fixed.CopyFrom(model)
        # what an exporter left there may contradict a graph that was quantised afterwards
        del fixed.graph.value_info[:]
        for value in (*fixed.graph.input, *fixed.graph.output):
            for dimension in value.type.tensor_type.shape.dim:
                if dimension.WhichOneof("value") != "dim_value":
                    dimension.dim_value = samples
        inferred = shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
        self.nodes = list(inferred.graph.node)
        self._made_by = {output: node for node in self.nodes for output in node.output}
        self._used_by: dict[str, list[str]] = {}
        for node in self.nodes:
            for name in node.input:
                self._used_by.setdefault(name, []).append(node.op_type)
        self._stored = {tensor.name: tensor for tensor in inferred.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant":
                for value in (a.t for a in node.attribute if a.name == "value"):
                    self._stored[node.output[0]] = value
        self._values = {
            value.name: value.type.tensor_type
            for value in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
        }

    def shape(self, name: str) -> tuple[int, ...]:
        if name in self._stored:
            return tuple(self._stored[name].dims)
        if name not in self._values or any(d.WhichOneof("value") != "dim_value" for d in self._values[name].shape.dim):
            raise ValueError(f"the shape of {name} is not known, expected every dimension")
        return tuple(d.dim_value for d in self._values[name].shape.dim)

    def element_bytes(self, name: str) -> int:
        """Of a value as it passes between operators: behind a QuantizeLinear or before a DequantizeLinear, one byte."""
        maker = self._made_by.get(name)
        if maker is not None and maker.op_type == "DequantizeLinear":
            return self.element_bytes(maker.input[0])
        users = self._used_by.get(name, [])
        if users and all(user == "QuantizeLinear" for user in users):
            return 1
        kind = self._stored[name].data_type if name in self._stored else self._values[name].elem_type
        return tensor_dtype_to_np_dtype(kind).itemsize

    def stored(self, name: str) -> onnx.TensorProto | None:
        """The weight that a value is another form of; None when it is computed."""
        if name in self._stored:
            return self._stored[name]
        maker = self._made_by.get(name)
        return self.stored(maker.input[0]) if maker is not None and maker.op_type in _CHANGES_FORM_ONLY else None

    def is_quantised(self, node: onnx.NodeProto) -> bool:
        """Whether a product is one of int8 numbers, by its own type or between DequantizeLinear nodes."""
        if node.op_type in ("ConvInteger", "QLinearConv", "MatMulInteger", "QLinearMatMul"):
            return True
        return all(self._behind_dequantize(node.input[place]) for place in _FACTORS[node.op_type])

    def _behind_dequantize(self, name: str) -> bool:
        maker = self._made_by.get(name)
        if maker is None:
            return False
        if maker.op_type == "DequantizeLinear":
            return True
        return maker.op_type in _CHANGES_FORM_ONLY and self._behind_dequantize(maker.input[0])


def _product(graph: _Graph, node: onnx.NodeProto) -> Product:
    factors = [node.input[place] for place in _FACTORS[node.op_type]]
    rows, inner, columns, count = _sizes(graph, node, factors)
    weights = [graph.stored(name) for name in factors]
    weight_bytes = sum(_bytes(tensor) for tensor in weights if tensor is not None)
    computed = [name for name, tensor in zip(factors, weights, strict=True) if tensor is None]
    passing = [*computed, node.output[0]]
    return Product(
        name=node.output[0],
        op=node.op_type,
        kind="int8" if graph.is_quantised(node) else _float_kind(graph, factors[0]),
        rows=rows,
        inner=inner,
        columns=columns,
        count=count,
        weight_bytes=weight_bytes,
        activation_bytes=sum(math.prod(graph.shape(name)) * graph.element_bytes(name) for name in passing),
    )


def _sizes(graph: _Graph, node: onnx.NodeProto, factors: list[str]) -> tuple[int, int, int, int]:
    """Rows, inner, columns, count."""
    first, second = (graph.shape(name) for name in factors)
    output = graph.shape(node.output[0])
    if "Conv" in node.op_type:
        # weights [out, in / groups, *kernel], output [batch, out, *places]
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        return output[0] * math.prod(output[2:]), math.prod(second[1:]), second[0] // groups, groups
    if node.op_type == "Gemm":
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return output[0], first[0] if transposed else first[1], output[1], 1
    if len(second) == 1:
        return math.prod(output), first[-1], 1, 1
    if len(second) == 2 or math.prod(second[:-2]) == 1:
        # one matrix for all: its batch is only more rows
        return math.prod(output[:-1]), first[-1], output[-1], 1
    rows = first[-2] if len(first) > 1 else 1
    return rows, first[-1], second[-1], math.prod(output) // (rows * second[-1])


def _float_kind(graph: _Graph, name: str) -> Kind:
    return "fp16" if graph.element_bytes(name) == 2 else "fp32"


def _bytes(tensor: onnx.TensorProto) -> int:
    return math.prod(tensor.dims) * tensor_dtype_to_np_dtype(tensor.data_type).itemsize
