from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from stub_models import DROPOUT_P, MASK_WIDTH, SIZE_PX, mc_dropout_graph, reference_samples

from emomusic_edge.errors import ModelError
from emomusic_edge.runtime.engine import OrtEngine


@pytest.fixture(scope="module")
def engine() -> OrtEngine:
    return OrtEngine(mc_dropout_graph().SerializeToString(), name="stub")


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


def masks(samples: int) -> np.ndarray:
    keep = 1 - DROPOUT_P
    return ((np.random.default_rng(1).random((samples, MASK_WIDTH)) < keep) / keep).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 2, 20, 128])
def test_a_real_session_gives_what_numpy_gives_for_any_number_of_samples(engine: OrtEngine, samples: int) -> None:
    out = engine.run({"image": picture(), "masks": masks(samples)})
    expected = reference_samples(picture(), masks(samples))
    np.testing.assert_allclose(out["samples"], expected, atol=1e-5)
    np.testing.assert_allclose(out["mean"], expected.mean(axis=0), atol=1e-5)
    if samples > 1:
        np.testing.assert_allclose(out["variance"], expected.var(axis=0, ddof=1), atol=1e-5)


def test_it_tells_what_it_truly_runs_on(engine: OrtEngine) -> None:
    assert engine.provider in ort.get_available_providers()
    only_cpu = OrtEngine(mc_dropout_graph().SerializeToString(), name="stub", providers=["CPUExecutionProvider"])
    assert only_cpu.provider == "CPUExecutionProvider"


def test_a_provider_that_this_build_lacks_is_passed_over() -> None:
    engine = OrtEngine(
        mc_dropout_graph().SerializeToString(), name="stub", providers=["NoSuch", "CPUExecutionProvider"]
    )
    assert engine.provider == "CPUExecutionProvider"


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"image": picture()},
        {"image": picture().astype(np.float32), "masks": masks(2)},
        {"image": picture()[:, :4], "masks": masks(2)},
        {"image": picture(), "masks": masks(2)[:, :3]},
        {"image": picture(), "masks": masks(2), "more": masks(2)},
    ],
    ids=["none", "one missing", "dtype", "picture size", "mask width", "one too many"],
)
def test_wrong_inputs_are_a_model_error_that_names_the_model(engine: OrtEngine, inputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(ModelError, match="stub"):
        engine.run(inputs)


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
