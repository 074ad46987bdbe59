from __future__ import annotations

import platform
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from exported_networks import Exported
from numpy.typing import NDArray
from onnx import numpy_helper

from emomusic_edge.errors import ModelError
from emomusic_edge.export.bundle import check_contract
from emomusic_edge.export.gates.precision import measure_precision
from emomusic_edge.export.precision.int8 import int8_from_fp32
from emomusic_edge.export.precision.int8_for_cpu import int8_for_cpu

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def portable(small_resnet: Exported) -> onnx.ModelProto:
    return int8_from_fp32(small_resnet.model, small_resnet.pictures.calibration)


@pytest.fixture(scope="module")
def rewritten(portable: onnx.ModelProto) -> onnx.ModelProto:
    graph = int8_for_cpu(portable)
    assert graph is not None
    return graph


def as_it_stands(model: onnx.ModelProto, *also: str) -> ort.InferenceSession:
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in also)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return ort.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])


def first_convolution(model: onnx.ModelProto) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == "Conv")


def test_it_is_as_near_to_fp32_as_the_graph_for_every_engine(
    small_resnet: Exported, portable: onnx.ModelProto, rewritten: onnx.ModelProto
) -> None:
    near, other = (
        measure_precision(
            small_resnet.content,
            graph.SerializeToString(),
            small_resnet.pictures.held,
            small_resnet.masks,
            "int8",
        )
        for graph in (rewritten, portable)
    )
    assert near.failures() == ()
    for axis, figures in near.mean.items():
        assert 0 < figures.mean_abs <= 1.5 * other.mean[axis].mean_abs


def test_inputs_outputs_and_weights_are_those_of_the_source(
    portable: onnx.ModelProto, rewritten: onnx.ModelProto
) -> None:
    onnx.checker.check_model(rewritten, full_check=True)
    assert list(rewritten.graph.input) == list(portable.graph.input)
    assert list(rewritten.graph.output) == list(portable.graph.output)
    assert rewritten.opset_import == portable.opset_import
    theirs = {tensor.name: tensor for tensor in portable.graph.initializer}
    ours = {tensor.name: tensor for tensor in rewritten.graph.initializer if tensor.name in theirs}
    assert all(tensor == theirs[name] for name, tensor in ours.items())
    read = {name for node in rewritten.graph.node for name in node.input}
    assert {tensor.name for tensor in rewritten.graph.initializer} <= read


@pytest.mark.skipif(platform.machine() != "x86_64", reason="what is held is how ONNX Runtime's x86 kernels are reached")
def test_nothing_but_the_end_is_left_in_floats(rewritten: onnx.ModelProto, tmp_path: Path) -> None:
    """One block a stage: a stem and four blocks of two convolutions, three of them with a third, and four sums."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    ort.InferenceSession(rewritten.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert found["QLinearConv"] == 1 + 4 * 2 + 3
    assert found["QLinearAdd"] == 3, "the last sum feeds the features, which are floats"
    assert (found["Conv"], found["QuantizeLinear"], found["DequantizeLinear"]) == (0, 0, 2)


def test_the_first_convolution_sees_the_pixels_themselves(
    small_resnet: Exported, portable: onnx.ModelProto, rewritten: onnx.ModelProto
) -> None:
    """The oracle is PyTorch's convolution of the shifted picture with the dequantised weights."""
    import torch

    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in portable.graph.initializer}
    makers = {node.output[0]: node for node in portable.graph.node}
    conv = first_convolution(portable)
    quantised, scales = (tensors[name] for name in makers[conv.input[1]].input[:2])
    weight = torch.from_numpy(quantised.astype(np.float32) * scales[:, None, None, None])
    bias = torch.from_numpy(np.array(tensors[conv.input[2]]))
    (shift,) = (tensors[node.input[1]][:3] for node in portable.graph.node if node.name == "shift_add")
    session = as_it_stands(rewritten, conv.output[0])
    half_a_level = 0.5 * float(weight.abs().sum(dim=(1, 2, 3)).max())
    for picture in small_resnet.pictures.held[:4]:
        shifted = torch.from_numpy((picture + shift).astype(np.float32)).permute(0, 3, 1, 2)
        expected = torch.nn.functional.conv2d(shifted, weight, bias, stride=2, padding=3).numpy()
        found = session.run([conv.output[0]], {"image": picture, "masks": small_resnet.masks})[0]
        np.testing.assert_allclose(inner(found), inner(expected), atol=2e-3)
        np.testing.assert_allclose(found, expected, atol=half_a_level)


def inner(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """What no padding reaches."""
    return values[:, :, 2:-2, 2:-2]


def test_a_tower_has_nothing_to_gain(small_tower: Exported) -> None:
    assert int8_for_cpu(int8_from_fp32(small_tower.model, small_tower.pictures.calibration[:2])) is None


def test_the_source_is_left_as_it_is_and_gives_the_same_graph_again(
    portable: onnx.ModelProto, rewritten: onnx.ModelProto
) -> None:
    before = portable.SerializeToString(deterministic=True)
    again = int8_for_cpu(portable)
    assert portable.SerializeToString(deterministic=True) == before
    assert again is not None
    assert again.SerializeToString(deterministic=True) == rewritten.SerializeToString(deterministic=True)


@pytest.mark.parametrize("odd", ["stride", "pads"])
def test_a_first_convolution_of_another_form_is_left_as_it_is(odd: str, portable: onnx.ModelProto) -> None:
    """An odd number of padded rows can not be taken two by two, and pixels one by one need no folding."""
    other = onnx.ModelProto()
    other.CopyFrom(portable)
    conv = first_convolution(other)
    for attribute in conv.attribute:
        if attribute.name == "strides" and odd == "stride":
            attribute.ints[:] = [1, 1]
        if attribute.name == "pads" and odd == "pads":
            attribute.ints[:] = [3, 3, 2, 2]
    graph = int8_for_cpu(other)
    assert graph is not None
    assert first_convolution(graph).input[0] != "stem_pixels"
    assert not any(node.op_type == "Concat" and "image" in node.input for node in graph.graph.node)


def test_the_contract_is_asked_for_what_concerns_a_processor(portable: onnx.ModelProto) -> None:
    from exported_networks import manifest_for

    graph = int8_for_cpu(portable)
    assert graph is not None
    manifest = manifest_for(portable, "int8")
    check_contract(graph, manifest, for_cpu=True)
    with pytest.raises(ModelError, match="TensorRT"):
        check_contract(graph, manifest)
    dropped = next(node for node in graph.graph.node if node.op_type == "Relu")
    dropped.op_type = "Dropout"
    with pytest.raises(ModelError, match="sampling must come from the masks"):
        check_contract(graph, manifest, for_cpu=True)
