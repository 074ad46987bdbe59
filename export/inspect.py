"""What a bundle is, read off its manifest and its graph, for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto

from emomusic_edge.manifest import CPU_MODEL_NAME, Manifest, read_bundle

from .verify import MEND


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """A bundle, looked into.

    Attributes:
        manifest: its own.
        model_mb: the size of `model.onnx`.
        cpu_model_mb: of `model.cpu.onnx`; 0 where there is none.
        parameters: numbers in the graph's weights.
        operators: how many of each kind.
        inputs, outputs: `name dtype [shape]` each.
    """

    manifest: Manifest
    model_mb: float
    cpu_model_mb: float
    parameters: int
    operators: dict[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def inspect_bundle(bundle: Path) -> BundleFacts:
    """Look into a bundle; its hashes are checked first.

    Raises:
        ModelError: it is missing, altered, or no bundle.
    """
    manifest, content = read_bundle(bundle, mend=MEND)
    graph = onnx.load_model_from_string(content).graph
    sizes = [_size(tensor) for tensor in graph.initializer]
    return BundleFacts(
        manifest,
        len(content) / 1e6,
        (bundle / CPU_MODEL_NAME).stat().st_size / 1e6 if CPU_MODEL_NAME in manifest.files else 0.0,
        sum(sizes),
        dict(Counter(node.op_type for node in graph.node).most_common()),
        tuple(_described(value) for value in graph.input),
        tuple(_described(value) for value in graph.output),
    )


def _size(tensor: onnx.TensorProto) -> int:
    count = 1
    for side in tensor.dims:
        count *= side
    return count


def _described(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    shape = [side.dim_param or str(side.dim_value) for side in tensor.shape.dim]
    return f"{value.name} {TensorProto.DataType.Name(tensor.elem_type).lower()} [{', '.join(shape)}]"
