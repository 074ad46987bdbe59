from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from exported_networks import Exported, accepted_by_tensorrt, contract_holds
from onnx import TensorProto

from emomusic_edge.errors import ModelError
from emomusic_edge.export.gates.precision import measure_precision
from emomusic_edge.export.precision.fp16 import fp16_from_fp32
from emomusic_edge.export.precision.graph_parts import statistics_nodes
from emomusic_edge.export.precision.modelopt_env import ModeloptEnvironment

pytest.importorskip("torch")
pytest.importorskip("transformers")

VERSIONS = "import onnx, onnxruntime; print(onnx.__version__, onnx.__file__, onnxruntime.__version__)"


@pytest.fixture(scope="module", params=["small_tower", "small_resnet"])
def source(request: pytest.FixtureRequest) -> Exported:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def cast(source: Exported, modelopt: ModeloptEnvironment) -> onnx.ModelProto:
    return fp16_from_fp32(source.model, source.pictures.calibration[:4], modelopt)


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    """The element type of every value, by shape inference."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    values = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in inferred.graph.initializer}


def test_answers_stay_within_the_bounds_on_pictures_that_calibration_did_not_see(
    source: Exported, cast: onnx.ModelProto
) -> None:
    content = cast.SerializeToString()
    figures = measure_precision(source.content, content, source.pictures.held, source.masks, "fp16")
    assert figures.failures() == ()
    assert figures.mean["valence"].mean_abs > 0
    assert len(content) < 0.6 * len(source.content)


def test_the_contract_is_kept(source: Exported, cast: onnx.ModelProto) -> None:
    contract_holds(cast, source, "fp16")


def test_layer_norm_runs_in_fp32_and_products_in_fp16(source: Exported, cast: onnx.ModelProto) -> None:
    types = types_of(cast)
    for node in cast.graph.node:
        if node.op_type == "LayerNormalization":
            assert {types[name] for name in [*node.input, *node.output]} == {TensorProto.FLOAT}, node.name
        if node.op_type in ("MatMul", "Gemm", "Conv"):
            assert {types[name] for name in [*node.input, *node.output]} == {TensorProto.FLOAT16}, node.name
    count = sum(node.op_type == "LayerNormalization" for node in source.model.graph.node)
    assert sum(node.op_type == "LayerNormalization" for node in cast.graph.node) == count


def test_mean_and_variance_of_the_samples_are_computed_in_fp32(cast: onnx.ModelProto) -> None:
    types = types_of(cast)
    for node in statistics_nodes(cast.graph):
        assert types[node.output[0]] in (TensorProto.FLOAT, TensorProto.INT64), node.name


def test_any_number_of_samples_runs(source: Exported, cast: onnx.ModelProto) -> None:
    import onnxruntime as ort

    session = ort.InferenceSession(cast.SerializeToString(), providers=["CPUExecutionProvider"])
    for count in (1, 5, 128):
        masks = np.ones((count, source.masks.shape[1]), np.float32)
        _, variance, samples = session.run(None, {"image": source.pictures.held[0], "masks": masks})
        assert samples.shape == (count, 2)
        assert variance == pytest.approx([0.0, 0.0], abs=1e-6)


def test_the_users_onnx_and_onnxruntime_are_what_they_were(
    small_resnet: Exported, modelopt: ModeloptEnvironment
) -> None:
    before, after = [], []
    for told in (before, after):
        told.append(subprocess.run([sys.executable, "-c", VERSIONS], capture_output=True, text=True, check=True).stdout)
        if told is before:
            fp16_from_fp32(small_resnet.model, small_resnet.pictures.calibration[:1], modelopt)
    assert before == after
    assert str(modelopt.overlay) not in before[0]


def test_modelopt_reads_what_the_pictures_give(small_resnet: Exported, modelopt: ModeloptEnvironment) -> None:
    """A value above 512 keeps its node in fp32: made by weights that real pictures drive there."""
    loud = onnx.ModelProto()
    loud.CopyFrom(small_resnet.model)
    weight = next(tensor for tensor in loud.graph.initializer if tensor.name.endswith("backbone.conv1.weight"))
    values = onnx.numpy_helper.to_array(weight) * np.float32(1000.0)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    cast = fp16_from_fp32(loud, small_resnet.pictures.calibration[:1], modelopt)
    types = types_of(cast)
    first = next(node for node in cast.graph.node if node.op_type == "Conv")
    assert types[first.output[0]] == TensorProto.FLOAT


def test_without_pictures_it_says_so(small_resnet: Exported) -> None:
    with pytest.raises(ModelError, match="pictures"):
        fp16_from_fp32(small_resnet.model, [], ModeloptEnvironment(Path(sys.executable), None))


def test_what_modelopt_refuses_is_told_in_one_line(small_resnet: Exported, modelopt: ModeloptEnvironment) -> None:
    wrong = [np.zeros((1, 8, 8, 3), np.uint8)]
    with pytest.raises(ModelError, match=r"modelopt 0\.47\.0 failed") as caught:
        fp16_from_fp32(small_resnet.model, wrong, modelopt)
    assert "\n" not in str(caught.value)


def test_tensorrt_accepts_it(cast: onnx.ModelProto) -> None:
    accepted_by_tensorrt(cast)
