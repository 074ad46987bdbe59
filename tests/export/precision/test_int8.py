from __future__ import annotations

import platform
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from exported_networks import Exported, accepted_by_tensorrt, contract_holds
from onnx import numpy_helper

from emomusic_edge.errors import ModelError
from emomusic_edge.export.gates.precision import measure_precision
from emomusic_edge.export.precision.graph_parts import weighted_nodes
from emomusic_edge.export.precision.int8 import int8_from_fp32

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module", params=["small_tower", "small_resnet"])
def source(request: pytest.FixtureRequest) -> Exported:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def quantised(source: Exported) -> onnx.ModelProto:
    return int8_from_fp32(source.model, source.pictures.calibration)


def fed_by_dequantised(graph: onnx.GraphProto) -> Counter[str]:
    """How many nodes of each operator take a dequantised value."""
    dequantised = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    return Counter(node.op_type for node in graph.node if dequantised.intersection(node.input))


def test_answers_stay_within_the_bounds_on_pictures_that_calibration_did_not_see(
    source: Exported, quantised: onnx.ModelProto
) -> None:
    content = quantised.SerializeToString()
    figures = measure_precision(source.content, content, source.pictures.held, source.masks, "int8")
    assert figures.failures() == ()
    assert figures.mean["valence"].mean_abs > 0


def test_the_contract_is_kept_and_the_fp32_graph_left_alone(source: Exported, quantised: onnx.ModelProto) -> None:
    contract_holds(quantised, source, "int8")
    assert not any(node.op_type == "QuantizeLinear" for node in source.model.graph.node)


def test_attention_and_layer_norm_see_no_quantised_value(
    small_tower: Exported,
) -> None:
    graph = int8_from_fp32(small_tower.model, small_tower.pictures.calibration).graph
    tensors = {tensor.name for tensor in graph.initializer}
    quantised_weights = {node.output[0] for node in graph.node if node.input[0] in tensors}
    producers = {output: node for node in graph.node for output in node.output}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    attention = [node for node in products if node.input[1] not in quantised_weights | tensors]
    assert len(attention) == 2 * 2
    for node in [*attention, *(n for n in graph.node if n.op_type in ("LayerNormalization", "Softmax"))]:
        assert all(producers[name].op_type != "DequantizeLinear" for name in node.input if name in producers), node.name
    assert fed_by_dequantised(graph)["MatMul"] == 0
    assert fed_by_dequantised(graph)["Gemm"] == 2 * 6 + 1


def test_every_weighted_node_of_the_trunk_and_none_of_the_heads_is_quantised(
    source: Exported, quantised: onnx.ModelProto
) -> None:
    wanted = {node.name for node in weighted_nodes(source.model.graph)}
    dequantised = {node.output[0] for node in quantised.graph.node if node.op_type == "DequantizeLinear"}
    found = {
        node.name
        for node in quantised.graph.node
        if node.op_type in ("Conv", "MatMul", "Gemm") and set(node.input[:2]) <= dequantised
    }
    assert found == wanted
    heads = [tensor.name for tensor in quantised.graph.initializer if "_head" in tensor.name]
    assert heads
    assert not any("quantized" in name for name in heads)


def test_zero_points_are_what_tensorrt_takes(quantised: onnx.ModelProto) -> None:
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer}
    pairs = [node for node in quantised.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    for node in pairs:
        zero_points = tensors[node.input[2]]
        assert zero_points.dtype == np.int8
        assert not zero_points.any()
    weights = [node for node in pairs if node.input[0] in tensors and tensors[node.input[0]].ndim > 1]
    assert all(tensors[node.input[1]].size > 1 for node in weights), "weights are quantised a channel at a time"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="what is held is how ONNX Runtime's x86 kernels are reached")
def test_onnx_runtime_runs_all_of_them_in_int8(source: Exported, quantised: onnx.ModelProto, tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    ort.InferenceSession(quantised.SerializeToString(), options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(tmp_path / "optimised.onnx")
    fast = Counter(node.op_type for node in optimised.graph.node)
    count = fast["QLinearConv"] + fast["QLinearMatMul"] + fast["QGemm"] + fast["MatMulIntegerToFloat"]
    assert count == len(weighted_nodes(source.model.graph))


def test_the_same_pictures_give_the_same_graph(small_resnet: Exported) -> None:
    one, other = (int8_from_fp32(small_resnet.model, small_resnet.pictures.calibration) for _ in range(2))
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def test_nothing_is_printed(small_resnet: Exported, capfd: pytest.CaptureFixture[str]) -> None:
    int8_from_fp32(small_resnet.model, small_resnet.pictures.calibration[:2])
    assert capfd.readouterr() == ("", "")


def test_without_pictures_it_says_so(small_resnet: Exported) -> None:
    with pytest.raises(ModelError, match="pictures"):
        int8_from_fp32(small_resnet.model, [])


def test_a_graph_without_a_trunk_is_refused() -> None:
    from stub_models import mc_dropout_graph

    graph = mc_dropout_graph()
    for node in [node for node in graph.graph.node if node.output[0] == "features"]:
        graph.graph.node.remove(node)
    with pytest.raises(ModelError, match="quantise"):
        int8_from_fp32(graph, [np.zeros((1, 8, 8, 3), np.uint8)])


def test_tensorrt_accepts_it(quantised: onnx.ModelProto) -> None:
    accepted_by_tensorrt(quantised)
