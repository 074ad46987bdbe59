"""A real TensorRT parser and builder, TensorRT for RTX, which need no GPU: what we export, they accept."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from stub_models import mc_dropout_graph

from emomusic_edge.errors import ModelError
from emomusic_edge.export.tensorrt.rtx import PYTHON_VARIABLE, accepted_by
from emomusic_edge.manifest import MODEL_NAME
from emomusic_edge.paths import DataLayout, packaged_bundle


@pytest.fixture(scope="module")
def python() -> str:
    """An interpreter that has the wheel."""
    named = os.environ.get(PYTHON_VARIABLE, "")
    if named:
        return named
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip(f"no tensorrt_rtx here, and {PYTHON_VARIABLE} names no interpreter that has it")
    return sys.executable


@pytest.mark.peer
def test_a_graph_with_masks_is_accepted(python: str) -> None:
    told = accepted_by(python, mc_dropout_graph().SerializeToString(), name="face-stub")
    assert "RTX" in told["tensorrt"]
    assert told["plan_bytes"] > 1000


@pytest.mark.peer
def test_every_bundle_of_the_starter_set_is_accepted(python: str, starter_layout: DataLayout) -> None:
    bundles = [packaged_bundle("scene-starter"), *sorted(starter_layout.bundles.iterdir())]
    assert len(bundles) == 4
    for bundle in bundles:
        accepted_by(python, (bundle / MODEL_NAME).read_bytes(), name=bundle.name)


@pytest.mark.peer
def test_quantised_nodes_and_half_precision_are_accepted(python: str) -> None:
    """Strong typing: precision stands in the graph."""
    weights = np.random.default_rng(3).normal(size=(16, 16)).astype(np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
        helper.make_node("MatMul", ["dq", "w"], ["y"]),
        helper.make_node("Cast", ["y"], ["half"], to=onnx.TensorProto.FLOAT16),
        helper.make_node("MatMul", ["half", "w16"], ["z"]),
        helper.make_node("Cast", ["z"], ["out"], to=onnx.TensorProto.FLOAT),
    ]
    initial = [
        numpy_helper.from_array(np.float32(0.02), "scale"),
        numpy_helper.from_array(np.int8(0), "zero"),
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(weights.astype(np.float16), "w16"),
    ]
    graph = helper.make_graph(
        nodes,
        "typed",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["T", 16])],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["T", 16])],
        initial,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    accepted_by(python, model.SerializeToString(), name="typed")


def broken() -> Iterator[tuple[str, onnx.ModelProto]]:
    for operator in ("Nonsense", "Bernoulli"):
        graph = mc_dropout_graph()
        graph.graph.node.insert(0, helper.make_node(operator, ["masks"], ["drawn"], name=f"/{operator}"))
        for node in graph.graph.node:
            if node.op_type == "Slice":
                node.input[0] = "drawn"
        yield operator, graph


@pytest.mark.peer
@pytest.mark.parametrize(
    ("operator", "graph"), list(broken()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_tensorrt_has_not_is_refused_with_its_own_words(
    python: str, operator: str, graph: onnx.ModelProto
) -> None:
    with pytest.raises(ModelError, match=f"refuses the graph of odd: {operator}"):
        accepted_by(python, graph.SerializeToString(), name="odd")


@pytest.mark.peer
def test_what_is_no_model_is_refused(python: str) -> None:
    with pytest.raises(ModelError, match="Failed to parse"):
        accepted_by(python, b"not a model", name="odd")


def test_without_the_wheel_the_error_says_what_to_install(tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorrt_rtx") is not None:
        pytest.skip("the wheel is in this environment")
    with pytest.raises(ModelError, match="no TensorRT for RTX") as told:
        accepted_by(sys.executable, b"")
    assert "tensorrt-rtx" in told.value.mend
