"""Which part of an exported graph a node belongs to, and the small rewrites that fp16 and int8 share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from emomusic_edge.errors import ModelError

_PRODUCTS = frozenset({"MatMul", "Gemm"})


def downstream_of(graph: onnx.GraphProto, value: str) -> list[onnx.NodeProto]:
    """The nodes whose results depend on a value, in the graph's order (which ONNX wants topological)."""
    reached = {value}
    nodes = []
    for node in graph.node:
        if reached.intersection(node.input):
            reached.update(node.output)
            nodes.append(node)
    return nodes


def trunk_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that run once a picture: all that `masks` do not reach."""
    heads = {node.output[0] for node in downstream_of(graph, "masks")}
    return [node for node in graph.node if node.output[0] not in heads]


def weighted_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The trunk's convolutions and products with constant weights.

    The two products of attention multiply activations with activations and are not among them.
    """
    constants = {tensor.name for tensor in graph.initializer}
    return [
        node
        for node in trunk_nodes(graph)
        if (node.op_type == "Conv" or node.op_type in _PRODUCTS) and node.input[1] in constants
    ]


def statistics_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that make mean and variance of the samples."""
    return downstream_of(graph, "samples")


def mask_width(graph: onnx.GraphProto) -> int:
    """K, the columns of `masks`.

    Raises:
        ModelError: the graph has no such input.
    """
    for value in graph.input:
        if value.name == "masks":
            return int(value.type.tensor_type.shape.dim[1].dim_value)
    raise ModelError("The graph has no input `masks`; fp16 and int8 are made of networks with dropout masks.")


def ones_masks(graph: onnx.GraphProto) -> NDArray[np.float32]:
    """Masks of one deterministic sample, float32 [1, K]."""
    return np.ones((1, mask_width(graph)), np.float32)


def with_exact_shortcuts(model: onnx.ModelProto, weighted: Collection[str]) -> None:
    """Take out rounding that serves nobody, in place.

    Only weighted nodes gain by quantised values: an Add that shares its input with one (a ResNet block's shortcut) gets
    the value before Q/DQ. And a convolution whose result goes through a ReLU is rounded with the scale of the ReLU's
    own pair, so that the second rounding changes nothing and the negative values, which the ReLU drops, set no range.
    ResNet-18's difference from fp32 falls from 0.022 / 0.011 (valence / arousal, FindingEmo units) to 0.014 / 0.008.

    Args:
        model: as quantize_static gives it.
        weighted: names of the nodes that are quantised.
    """
    graph = model.graph
    tensors = {tensor.name for tensor in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    dequantised = {
        node.output[0]: producers[node.input[0]]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] not in tensors
    }
    scale_behind_relu = {
        node.input[0]: node.input[1] for node in dequantised.values() if producers[node.input[0]].op_type == "Relu"
    }
    for node in graph.node:
        for place, name in enumerate(node.input):
            quantize = dequantised.get(name)
            if quantize is None or node.name in weighted:
                continue
            if producers[quantize.input[0]].name not in weighted:
                node.input[place] = quantize.input[0]
            elif node.op_type == "Relu" and node.output[0] in scale_behind_relu:
                scale = scale_behind_relu[node.output[0]]
                quantize.input[1] = scale
                producers[name].input[1] = scale


def with_a_pair_for_each_consumer(model: onnx.ModelProto) -> None:
    """Give each consumer of a quantised activation a Q/DQ pair of its own, in place.

    ONNX Runtime on x86 has fast kernels for uint8 activations only, and turns int8 Q/DQ pairs into uint8 where the pair
    has one consumer; where it has more (a LayerNorm before q, k and v; a ResNet block's input) the product stays in
    fp32 (measured against fp32: ViT-B/32 1.1 times as fast, with pairs of their own 2.2 times; ResNet-18 1.6 and 2.1
    times). Equal pairs would be merged again at load: so each further scale is one step of float32
    (6e-8) larger than the one before.
    """
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    consumers: defaultdict[str, list[tuple[onnx.NodeProto, int]]] = defaultdict(list)
    for node in graph.node:
        for place, name in enumerate(node.input):
            consumers[name].append((node, place))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes.append(node)
        if node.op_type != "DequantizeLinear" or node.input[0] in tensors:
            continue
        scale = numpy_helper.to_array(tensors[node.input[1]])
        for number, (consumer, place) in enumerate(consumers[node.output[0]][1:], start=1):
            scale = np.nextafter(scale, np.float32(np.inf))
            name = f"{node.output[0]}_scale_{number}"
            graph.initializer.append(numpy_helper.from_array(scale, name))
            quantize, dequantize = onnx.NodeProto(), onnx.NodeProto()
            for copy, original in ((quantize, producers[node.input[0]]), (dequantize, node)):
                copy.CopyFrom(original)
                copy.name = f"{original.name}_{number}"
                copy.input[1] = name
                copy.output[0] = f"{original.output[0]}_{number}"
            dequantize.input[0] = quantize.output[0]
            consumer.input[place] = dequantize.output[0]
            nodes += [quantize, dequantize]
    del graph.node[:]
    graph.node.extend(nodes)


def stripped(model: onnx.ModelProto, source: onnx.ModelProto) -> onnx.ModelProto:
    """A rewritten graph with the head of the file it was made from, without what the tool left in it.

    Raises:
        ModelError: the tool changed inputs, outputs or opset.
    """
    for field in ("input", "output"):
        ours, theirs = getattr(source.graph, field), getattr(model.graph, field)
        if [_signature(value) for value in ours] != [_signature(value) for value in theirs]:
            raise ModelError(f"Rewriting the graph changed its {field}s to {[value.name for value in theirs]}.")
        del theirs[:]
        theirs.extend(ours)
    opsets = {entry.domain: entry.version for entry in model.opset_import if entry.domain or entry.version}
    used = {node.domain for node in model.graph.node}
    if used != {""}:
        raise ModelError(f"Rewriting the graph left operators of {sorted(used - {''})} in it.")
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", opsets[""]))
    model.ir_version = source.ir_version
    model.producer_name, model.producer_version = source.producer_name, source.producer_version
    model.doc_string = source.doc_string
    model.graph.name, model.graph.doc_string = source.graph.name, ""
    del model.metadata_props[:]
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    return model


def _signature(value: onnx.ValueInfoProto) -> tuple[str, int, int]:
    tensor = value.type.tensor_type
    return value.name, tensor.elem_type, len(tensor.shape.dim)
