"""What ONNX Runtime's engine does beside the contract that all engines share (test_engine_contract.py)."""

from __future__ import annotations

import onnx
import onnxruntime as ort
import pytest
from stub_models import mc_dropout_graph

from emomusic_edge.errors import ModelError
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine


def test_it_tells_what_it_truly_runs_on() -> None:
    engine = OrtEngine(mc_dropout_graph().SerializeToString(), name="stub")
    assert engine.provider in ort.get_available_providers()
    only_cpu = OrtEngine(mc_dropout_graph().SerializeToString(), name="stub", providers=["CPUExecutionProvider"])
    assert only_cpu.provider == "CPUExecutionProvider"


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
