from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from exported_networks import Exported
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from emomusic_edge.export.precision.int8_layout import with_normalisation_in_weights, with_pooling_in_int8


@pytest.fixture(params=["small_tower", "small_resnet"])
def source(request: pytest.FixtureRequest) -> Exported:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return request.getfixturevalue(request.param)


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def as_it_stands(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def test_the_shift_alone_is_left_before_the_first_convolution(source: Exported) -> None:
    rewritten = copy_of(source.model)
    with_normalisation_in_weights(rewritten)
    onnx.checker.check_model(rewritten, full_check=True)
    kinds = [node.op_type for node in rewritten.graph.node]
    before = kinds[: kinds.index("Conv")]
    assert "Mul" not in before
    assert before.count("Add") == 1


def test_the_answers_are_those_of_the_graph_without_it(source: Exported) -> None:
    rewritten = copy_of(source.model)
    with_normalisation_in_weights(rewritten)
    plain, other = as_it_stands(source.model), as_it_stands(rewritten)
    for picture in source.pictures.held[:4]:
        inputs = {"image": picture, "masks": source.masks}
        for expected, found in zip(plain.run(None, inputs), other.run(None, inputs), strict=True):
            np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_graph_of_another_form_is_left_as_it_is() -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"], name="relu")],
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 4, 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    before = model.SerializeToString()
    with_normalisation_in_weights(model)
    with_pooling_in_int8(model)
    assert model.SerializeToString() == before


def pooled_after_a_relu() -> onnx.ModelProto:
    constants = {"scale": np.float32(0.05), "zero": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["x_q"], name="q"),
        helper.make_node("DequantizeLinear", ["x_q", "scale", "zero"], ["x_dq"], name="dq"),
        helper.make_node("Relu", ["x_dq"], ["positive"], name="relu"),
        helper.make_node(
            "MaxPool", ["positive"], ["y"], name="pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "stem",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 9, 9])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 5, 5])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return as_it_stands(model).run(None, {"x": x})[0]


def test_pooling_on_int8_gives_what_pooling_after_the_relu_gave() -> None:
    plain = pooled_after_a_relu()
    rewritten = copy_of(plain)
    with_pooling_in_int8(rewritten)
    onnx.checker.check_model(rewritten, full_check=True)
    assert [node.op_type for node in rewritten.graph.node] == [
        "QuantizeLinear",
        "DequantizeLinear",
        "MaxPool",
        "QuantizeLinear",
        "DequantizeLinear",
        "Relu",
    ]
    random = np.random.default_rng(0)
    for _ in range(20):
        # beyond the range of int8 as well
        x = random.normal(0, 4, (1, 2, 9, 9)).astype(np.float32)
        np.testing.assert_array_equal(run(rewritten, x), run(plain, x))


def test_a_value_that_something_else_needs_too_is_left_where_it_is() -> None:
    model = pooled_after_a_relu()
    model.graph.node.append(helper.make_node("Identity", ["positive"], ["also"], name="also"))
    model.graph.output.append(helper.make_tensor_value_info("also", TensorProto.FLOAT, [1, 2, 9, 9]))
    before = model.SerializeToString()
    with_pooling_in_int8(model)
    assert model.SerializeToString() == before
