"""One contract for every engine: ONNX Runtime itself, and TensorRT's engine on strict fakes of its three versions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cuda_fake import FakeCudaDevice
from stub_models import DROPOUT_P, MASK_WIDTH, SIZE_PX, mc_dropout_graph, mc_dropout_manifest, reference_samples
from tensorrt_fake import VERSIONS, FakeTensorRT

from emomusic_edge.errors import ModelError
from emomusic_edge.export.tensorrt.build import BuildRequest, build_engine
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.engines.tensorrt import TensorRTEngine
from emomusic_edge.runtime.predictors import AffectPredictor

AnyEngine = OrtEngine | TensorRTEngine


@pytest.fixture(scope="module", params=["onnxruntime", *VERSIONS])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnyEngine]:
    model = mc_dropout_graph().SerializeToString()
    if request.param == "onnxruntime":
        yield OrtEngine(model, name="stub")
        return
    path: Path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_bytes(model)
    trt = FakeTensorRT(request.param)
    made = TensorRTEngine(build_engine(trt, path, BuildRequest("stub")), name="stub", trt=trt, device=FakeCudaDevice)
    yield made
    made.close()


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


def masks(samples: int, seed: int = 1) -> np.ndarray:
    keep = 1 - DROPOUT_P
    return ((np.random.default_rng(seed).random((samples, MASK_WIDTH)) < keep) / keep).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 2, 20, 128, 3])
def test_it_gives_what_numpy_gives_for_any_number_of_samples(engine: AnyEngine, samples: int) -> None:
    out = engine.run({"image": picture(), "masks": masks(samples)})
    expected = reference_samples(picture(), masks(samples))
    np.testing.assert_allclose(out["samples"], expected, atol=1e-5)
    np.testing.assert_allclose(out["mean"], expected.mean(axis=0), atol=1e-5)
    if samples > 1:
        np.testing.assert_allclose(out["variance"], expected.var(axis=0, ddof=1), atol=1e-5)


def test_it_tells_its_inputs_and_outputs(engine: AnyEngine) -> None:
    assert set(engine.input_names) == {"image", "masks"}
    assert set(engine.output_names) == {"mean", "variance", "samples"}
    assert engine.provider


def test_what_it_gave_stays_what_it_was(engine: AnyEngine) -> None:
    first = engine.run({"image": picture(3), "masks": masks(8)})
    before = {name: value.copy() for name, value in first.items()}
    engine.run({"image": picture(4), "masks": masks(8, seed=9)})
    for name, value in first.items():
        np.testing.assert_array_equal(value, before[name])


def test_an_array_that_was_changed_in_place_counts_as_it_is_now(engine: AnyEngine) -> None:
    image, rows = picture(5), masks(16)
    for _ in range(2):
        out = engine.run({"image": image, "masks": rows})
        np.testing.assert_allclose(out["samples"], reference_samples(image, rows), atol=1e-5)
        rows[3] = 0
        image[0, 0, 0] = 255


def test_arrays_that_are_not_contiguous_will_do(engine: AnyEngine) -> None:
    image, rows = picture(6)[:, ::-1, ::-1], masks(32)[::4]
    out = engine.run({"image": image, "masks": rows})
    np.testing.assert_allclose(out["samples"], reference_samples(image, rows), atol=1e-5)


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"image": picture()},
        {"image": picture().astype(np.float32), "masks": masks(2)},
        {"image": picture()[:, :4], "masks": masks(2)},
        {"image": picture(), "masks": masks(2)[:, :3]},
        {"image": picture(), "masks": masks(2).astype(np.float64)},
        {"image": picture(), "masks": masks(2), "more": masks(2)},
    ],
    ids=["none", "one missing", "dtype", "picture size", "mask width", "mask dtype", "one too many"],
)
def test_wrong_inputs_are_a_model_error_after_which_it_goes_on(
    engine: AnyEngine, inputs: dict[str, np.ndarray]
) -> None:
    with pytest.raises(ModelError, match="stub") as told:
        engine.run(inputs)
    assert "its inputs: image" in str(told.value)
    out = engine.run({"image": picture(), "masks": masks(2)})
    np.testing.assert_allclose(out["samples"], reference_samples(picture(), masks(2)), atol=1e-5)


def test_any_thread_may_call_it(engine: AnyEngine) -> None:
    wrong: list[str] = []

    def work(seed: int) -> None:
        for round_ in range(5):
            image, rows = picture(seed), masks(1 + (seed + round_) % 20, seed)
            out = engine.run({"image": image, "masks": rows})
            if not np.allclose(out["samples"], reference_samples(image, rows), atol=1e-5):
                wrong.append(f"thread {seed}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("kind", ["frozen", "fresh"])
def test_a_predictor_runs_on_it(engine: AnyEngine, kind: str) -> None:
    cpu = OrtEngine(mc_dropout_graph().SerializeToString(), name="stub")
    image = np.random.default_rng(8).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    make: Callable[[AnyEngine], AffectPredictor] = lambda on: AffectPredictor(  # noqa: E731
        on,
        mc_dropout_manifest(),
        samples=24,
        masks=kind,
        seed=5,  # type: ignore[arg-type]
    )
    here, there = make(engine), make(cpu)
    for _ in range(3):
        got, expected = here.predict(image), there.predict(image)
        assert got.mean.valence == pytest.approx(expected.mean.valence, abs=1e-5)
        assert got.variance.arousal == pytest.approx(expected.variance.arousal, abs=1e-5)
