"""What ONNX Runtime's engine does beside the contract that all engines share (test_engine_contract.py)."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from stub_models import MASK_WIDTH, SIZE_PX, mc_dropout_graph

from emomusic_edge.errors import ModelError
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
