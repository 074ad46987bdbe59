"""Graphs cut out of the models, and the frame's crop: what is measured is what it is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from peers.inputs import Inputs, read_inputs, write_inputs
from peers.products import PRODUCTS_GRAPH, read_products
from side_by_side.prepare import cut_heads, write_scene_products
from stub_models import write_mc_dropout_bundle


def run(path: Path, **given: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["mean", "variance", "samples"], given)


def test_heads_that_were_cut_out_answer_as_the_whole(tmp_path: Path) -> None:
    write_mc_dropout_bundle(tmp_path / "stub")
    model = tmp_path / "stub" / "model.onnx"
    cut_heads(model, tmp_path / "heads.onnx")
    heads = onnx.load(tmp_path / "heads.onnx")
    features = next(value.name for value in heads.graph.input if value.name != "masks")
    assert len(heads.graph.node) < len(onnx.load(model).graph.node)
    # the whole model, made to tell its features too
    whole = onnx.load(model)
    whole.graph.output.append(helper.make_tensor_value_info(features, TensorProto.FLOAT, None))
    inputs = {value.name: value.type.tensor_type for value in whole.graph.input}
    shape = [d.dim_value for d in inputs["image"].shape.dim]
    width = inputs["masks"].shape.dim[1].dim_value
    random = np.random.default_rng(0)
    given = {
        "image": random.integers(0, 256, shape, dtype=np.uint8),
        "masks": random.integers(0, 2, (5, width)).astype(np.float32),
    }
    session = ort.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    names = ["mean", "variance", "samples"]
    *expected, found = session.run([*names, features], given)
    answers = run(tmp_path / "heads.onnx", **{features: found, "masks": given["masks"]})
    for answer, wanted in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer, wanted, rtol=1e-6)


def test_the_products_of_a_model_are_all_of_them_and_nothing_else(tmp_path: Path) -> None:
    weights = [
        helper.make_tensor("kernel", TensorProto.FLOAT, [8, 3, 4, 4], np.ones(384)),
        helper.make_tensor("w", TensorProto.FLOAT, [8, 5], np.ones(40)),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["patches"], strides=[4, 4]),
        helper.make_node("MatMul", ["rows", "w"], ["y"]),
        helper.make_node("MatMul", ["h", "g"], ["scores"]),
    ]
    values = {"x": [1, 3, 8, 8], "rows": [7, 8], "h": [2, 4, 6], "g": [2, 6, 4]}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("patches", "y", "scores")],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "model.onnx")
    write_scene_products(tmp_path / "model.onnx", tmp_path)
    products = read_products(tmp_path)
    assert sum(product.flop for product in products) == 2 * (4 * 48 * 8 + 7 * 8 * 5 + 2 * 4 * 6 * 4)
    made = onnx.load(tmp_path / PRODUCTS_GRAPH)
    assert {node.op_type for node in made.graph.node} == {"MatMul"}
    assert len(made.graph.node) == len(products)


@pytest.mark.parametrize(
    ("face_px", "shape"),
    [
        ((10.0, 20.0, 100.0, 50.0), (70, 130)),
        ((-5.0, -5.0, 20.0, 20.0), (19, 19)),
        ((620.0, 460.0, 40.0, 40.0), (28, 28)),
    ],
)
def test_the_crop_has_the_margin_and_stays_inside(
    face_px: tuple[float, float, float, float], shape: tuple[int, int], tmp_path: Path
) -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    inputs = Inputs(tmp_path, frame, face_px, {"scene-fp32": tmp_path})
    write_inputs(inputs)
    again = read_inputs(tmp_path)
    assert again.face_px == face_px
    assert again.bundles == inputs.bundles
    assert again.crop.shape == (*shape, 3)
    assert again.crop.flags.c_contiguous
