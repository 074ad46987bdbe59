"""What ONNX Runtime's engine does beside the contract that all engines share (test_engine_contract.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from stub_models import MASK_WIDTH, SIZE_PX, mc_dropout_graph, mc_dropout_manifest

from emomusic_edge.errors import ModelError
from emomusic_edge.export.bundle import write_bundle
from emomusic_edge.graph_store import GraphStore
from emomusic_edge.manifest import CPU_MODEL_NAME, MODEL_NAME
from emomusic_edge.model_file import ModelFile, open_bundle
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine, nodes_by_provider


def test_it_tells_what_it_truly_runs_on() -> None:
    engine = OrtEngine(mc_dropout_graph().SerializeToString(), name="stub")
    assert engine.provider in ort.get_available_providers()
    only_cpu = OrtEngine(mc_dropout_graph().SerializeToString(), name="stub", providers=["CPUExecutionProvider"])
    assert only_cpu.provider == "CPUExecutionProvider"


def test_the_first_provider_of_a_session_is_not_where_its_nodes_run() -> None:
    """Azure's provider runs none of them: the session names it first all the same."""
    model, chosen = mc_dropout_graph().SerializeToString(), ["AzureExecutionProvider", "CPUExecutionProvider"]
    if chosen[0] not in ort.get_available_providers():
        pytest.skip("this build has one provider alone")
    engine = OrtEngine(model, name="stub", providers=chosen)
    inputs = {"image": np.zeros((1, SIZE_PX, SIZE_PX, 3), np.uint8), "masks": np.ones((5, MASK_WIDTH), np.float32)}
    engine.run(inputs)
    assert engine.provider == chosen[0]
    nodes = nodes_by_provider(model, "stub", inputs, chosen)
    assert set(nodes) == {"CPUExecutionProvider"}
    assert nodes["CPUExecutionProvider"] > 1


def feature_weights_halved() -> onnx.ModelProto:
    model = mc_dropout_graph()
    (weights,) = (tensor for tensor in model.graph.initializer if tensor.name == "feature_weights")
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) / 2, weights.name))
    return model


@pytest.fixture
def in_two_forms(tmp_path: Path) -> ModelFile:
    """A model, and a form for processors that answers otherwise, so that it shows which one ran."""
    bundle = tmp_path / "b"
    write_bundle(bundle, mc_dropout_graph(), mc_dropout_manifest("face"), for_cpu=feature_weights_halved())
    return open_bundle(bundle)[1]


def answer(engine: OrtEngine) -> NDArray[np.generic]:
    image = np.full((1, SIZE_PX, SIZE_PX, 3), 99, np.uint8)
    return engine.run({"image": image, "masks": np.ones((2, MASK_WIDTH), np.float32)})["mean"]


def test_on_a_processor_alone_the_form_for_processors_runs(in_two_forms: ModelFile, tmp_path: Path) -> None:
    expected, other = (
        answer(OrtEngine(graph.SerializeToString(), name="stub"))
        for graph in (feature_weights_halved(), mc_dropout_graph())
    )
    assert np.any(expected != other)
    cpu = ["CPUExecutionProvider"]
    # the second time from the kept graph
    for graphs in (None, GraphStore(tmp_path / "graphs"), GraphStore(tmp_path / "graphs")):
        engine = OrtEngine(in_two_forms, name="stub", providers=["NoSuch", *cpu], graphs=graphs)
        np.testing.assert_allclose(answer(engine), expected, atol=1e-5)
    (kept,) = (path for path in (tmp_path / "graphs").rglob("graph.json") if path.parent.parent.name == "stub")
    assert in_two_forms.for_cpu is not None
    assert in_two_forms.for_cpu.sha256 in kept.read_text()


def test_beside_another_provider_the_model_itself_runs(in_two_forms: ModelFile) -> None:
    """Azure's runs no node; what counts is that the session was asked for more than a processor."""
    chosen = ["AzureExecutionProvider", "CPUExecutionProvider"]
    if chosen[0] not in ort.get_available_providers():
        pytest.skip("this build has one provider alone")
    expected = answer(OrtEngine(mc_dropout_graph().SerializeToString(), name="stub"))
    found = answer(OrtEngine(in_two_forms, name="stub", providers=chosen))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_altered_form_for_processors_does_not_load(in_two_forms: ModelFile) -> None:
    assert in_two_forms.for_cpu is not None
    in_two_forms.for_cpu.path.write_bytes(b"something else")
    with pytest.raises(ModelError, match=CPU_MODEL_NAME):
        OrtEngine(in_two_forms, name="stub", providers=["CPUExecutionProvider"])
    with pytest.raises(ModelError, match=CPU_MODEL_NAME):
        in_two_forms.check()


def test_a_model_that_was_altered_is_refused_though_its_other_form_would_run(in_two_forms: ModelFile) -> None:
    in_two_forms.path.write_bytes(b"something else")
    with pytest.raises(ModelError, match=MODEL_NAME):
        OrtEngine(in_two_forms, name="stub", providers=["CPUExecutionProvider"])


def test_a_graph_that_does_not_run_has_no_profile() -> None:
    with pytest.raises(ModelError, match="stub gives no profile"):
        nodes_by_provider(mc_dropout_graph().SerializeToString(), "stub", {})


def test_a_provider_that_this_build_lacks_is_passed_over() -> None:
    engine = OrtEngine(
        mc_dropout_graph().SerializeToString(), name="stub", providers=["NoSuch", "CPUExecutionProvider"]
    )
    assert engine.provider == "CPUExecutionProvider"


@pytest.mark.parametrize("content", [b"", b"not a model", mc_dropout_graph().SerializeToString()[:200]])
def test_what_is_no_model_does_not_load(content: bytes) -> None:
    with pytest.raises(ModelError, match="broken"):
        OrtEngine(content, name="broken")


def test_a_model_that_reads_other_files_is_refused() -> None:
    model = mc_dropout_graph()
    tensor = next(t for t in model.graph.initializer if t.name == "feature_weights")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret.bin")
    with pytest.raises(ModelError, match="another file"):
        OrtEngine(model.SerializeToString(), name="sly")
