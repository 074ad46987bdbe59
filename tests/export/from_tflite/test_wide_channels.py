"""Widening pictures to whole blocks of channels changes no number, and leaves nothing that ONNX Runtime must turn."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from conftest import Material
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from emomusic_edge.export.from_tflite.convert import onnx_from_tflite
from emomusic_edge.export.from_tflite.wide_channels import BLOCK, with_wide_channels


def growing_network(widths: list[int], *, seed: int, out_of_the_middle: bool = False) -> onnx.ModelProto:
    """Residual blocks as BlazeFace's: a depthwise and a plain convolution, and a shortcut padded where it grows."""
    random = np.random.default_rng(seed)
    nodes, constants = [], []

    def constant(values: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(values, f"c{len(constants)}"))
        return f"c{len(constants) - 1}"

    def convolution(source: str, result: str, into: int, of: int, size: int, group: int = 1) -> None:
        weights = random.normal(size=(into, of // group, size, size)).astype(np.float32)
        bias = random.normal(size=into).astype(np.float32)
        inputs = [source, constant(weights), constant(bias)]
        pads = [size // 2] * 4
        nodes.append(
            helper.make_node("Conv", inputs, [result], name=result, kernel_shape=(size, size), pads=pads, group=group)
        )

    convolution("input", "x0", widths[0], 3, 3)
    for place, (narrow, wide) in enumerate(itertools.pairwise(widths)):
        source, result = f"x{place}", f"x{place + 1}"
        convolution(source, f"{result}_deep", narrow, narrow, 3, group=narrow)
        convolution(f"{result}_deep", f"{result}_plain", wide, narrow, 1)
        shortcut = source
        if wide > narrow:
            shortcut = f"{result}_shortcut"
            pads = constant(np.array([0, 0, 0, 0, 0, wide - narrow, 0, 0], np.int64))
            nodes.append(helper.make_node("Pad", [source, pads], [shortcut], name=shortcut))
        nodes.append(helper.make_node("Add", [f"{result}_plain", shortcut], [f"{result}_sum"], name=f"{result}_sum"))
        nodes.append(helper.make_node("Relu", [f"{result}_sum"], [result], name=result))
    convolution(f"x{len(widths) - 1}", "head", 4, widths[-1], 1)
    nodes.append(helper.make_node("Transpose", ["head"], ["output"], name="output", perm=(0, 2, 3, 1)))
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 5, 5, 4])]
    if out_of_the_middle:
        outputs.append(helper.make_tensor_value_info("x0", TensorProto.FLOAT, [1, widths[0], 5, 5]))
    graph = helper.make_graph(
        nodes, "growing", [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 5, 5])], outputs, constants
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answers(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: x}))


def copies(model: onnx.ModelProto) -> list[str]:
    """The convolutions that do nothing but widen a shortcut."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = {node.name: constants[node.input[1]] for node in model.graph.node if node.op_type == "Conv"}
    return [
        name
        for name, values in weights.items()
        if values.shape[2:] == (1, 1) and (values[:, :, 0, 0] == np.eye(*values.shape[:2])).all()
    ]


@given(
    steps=st.lists(st.integers(0, 20), min_size=1, max_size=4),
    first=st.integers(1, 40),
    seed=st.integers(0, 99),
    out_of_the_middle=st.booleans(),
)
def test_no_number_changes(steps: list[int], first: int, seed: int, out_of_the_middle: bool) -> None:
    widths = list(np.cumsum([first, *steps]).tolist())
    model = growing_network(widths, seed=seed, out_of_the_middle=out_of_the_middle)
    x = np.random.default_rng(seed).normal(size=(1, 3, 5, 5)).astype(np.float32)
    for plain, wide in zip(answers(model, x), answers(with_wide_channels(model), x), strict=True):
        np.testing.assert_allclose(wide, plain, rtol=1e-3, atol=1e-3 * max(np.abs(plain).max(), 1))


def test_what_pads_no_channels_stays_as_it_is(material: Material) -> None:
    model = growing_network([20, 20, 20], seed=0)
    assert with_wide_channels(model) is model
    full = onnx_from_tflite(material.file("mediapipe", "face_detection_full_range_sparse.tflite").read_bytes())
    assert with_wide_channels(full) is full


def test_the_short_range_detector_stays_in_the_blocked_layout(material: Material, tmp_path: Path) -> None:
    plain = onnx_from_tflite(material.file("mediapipe", "face_detection_short_range.tflite").read_bytes())
    wide = with_wide_channels(plain)
    assert "Pad" not in Counter(node.op_type for node in wide.graph.node)
    assert not copies(wide)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(wide.SerializeToString(), options, providers=["CPUExecutionProvider"])
    turns = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    if not turns["ReorderOutput"]:
        pytest.skip("ONNX Runtime has no blocked layout on this processor.")
    # The four outputs, and nothing in between.
    assert (turns["ReorderOutput"], turns["ReorderInput"]) == (4, 0)


def test_a_block_that_grows_adds_its_shortcut_to_the_channels_it_has() -> None:
    # From one block of channels to two, within two, to three: of four steps two grow.
    wide = with_wide_channels(growing_network([12, 16, 20, 32, 40], seed=3))
    assert not copies(wide)
    assert Counter(node.op_type for node in wide.graph.node)["Concat"] == 2


def test_what_somebody_else_reads_is_not_split() -> None:
    model = growing_network([16, 32], seed=4)
    # The sum, of 32 channels as the others, goes out by a convolution of its own too.
    head = next(node for node in model.graph.node if node.output[0] == "head")
    second = onnx.NodeProto()
    second.CopyFrom(head)
    second.input[0], second.output[0], second.name = "x1_sum", "second", "second"
    model.graph.node.append(second)
    model.graph.output.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1, 4, 5, 5]))
    wide = with_wide_channels(model)
    assert len(copies(wide)) == 1
    x = np.random.default_rng(4).normal(size=(1, 3, 5, 5)).astype(np.float32)
    for plain, widened in zip(answers(model, x), answers(wide, x), strict=True):
        np.testing.assert_allclose(widened, plain, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("widths", [[24, 28, 28, 32, 32], [30, 40, 50, 50]])
def test_inner_pictures_are_whole_blocks(widths: list[int]) -> None:
    inferred = onnx.shape_inference.infer_shapes(with_wide_channels(growing_network(widths, seed=1)))
    channels = {
        value.name: value.type.tensor_type.shape.dim[1].dim_value
        for value in inferred.graph.value_info
        if value.name.startswith("x")
    }
    assert channels
    assert all(count % BLOCK == 0 for count in channels.values()), channels
