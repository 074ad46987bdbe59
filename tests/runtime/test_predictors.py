from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from stub_models import DROPOUT_P, FEATURES, MASK_WIDTH, mc_dropout_manifest, reference_samples, write_mc_dropout_bundle

from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import Manifest, McDropout, read_bundle
from emomusic_edge.preprocess import prepare
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.predictors import AffectPredictor, MaskBank


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, OrtEngine]:
    folder = tmp_path_factory.mktemp("bundles") / "face-stub"
    write_mc_dropout_bundle(folder)
    manifest, model = read_bundle(folder)
    return manifest, OrtEngine(model, name=manifest.name)


def picture(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def dropout() -> McDropout:
    found = mc_dropout_manifest().mc_dropout
    assert found is not None
    return found


def test_masks_are_scaled_bernoulli_rows() -> None:
    rows = MaskBank(dropout(), samples=4000, kind="frozen", seed=1).rows()
    assert rows.shape == (4000, MASK_WIDTH)
    assert rows.dtype == np.float32
    assert set(np.unique(rows)) == {np.float32(0), np.float32(1 / (1 - DROPOUT_P))}
    # a mean of 1 keeps the expected activation; 5 standard errors of 40,000 draws
    assert rows.mean() == pytest.approx(1.0, abs=5 * np.sqrt(DROPOUT_P / (1 - DROPOUT_P) / rows.size))


@given(st.integers(0, 2**32 - 1))
def test_masks_come_from_their_seed_alone(seed: int) -> None:
    a, b = (MaskBank(dropout(), samples=8, kind="fresh", seed=seed) for _ in range(2))
    assert np.array_equal(a.rows(), b.rows())
    assert np.array_equal(a.rows(), b.rows())


def test_frozen_masks_give_the_same_frame_the_same_answer(bundle: tuple[Manifest, OrtEngine]) -> None:
    manifest, engine = bundle
    frozen = AffectPredictor(engine, manifest, samples=20)
    assert frozen.predict(picture()) == frozen.predict(picture())
    fresh = AffectPredictor(engine, manifest, samples=20, masks="fresh")
    assert fresh.predict(picture()) != fresh.predict(picture())


@pytest.mark.parametrize("samples", [2, 20, 128])
def test_the_estimate_is_mean_and_unbiased_variance_over_the_masks(
    bundle: tuple[Manifest, OrtEngine], samples: int
) -> None:
    manifest, engine = bundle
    estimate = AffectPredictor(engine, manifest, samples=samples, seed=3).predict(picture())
    rows = MaskBank(dropout(), samples=samples, kind="frozen", seed=3).rows()
    expected = reference_samples(prepare(picture(), manifest.image), rows)
    assert estimate.mean == pytest.approx(expected.mean(axis=0), abs=1e-5)
    assert estimate.variance == pytest.approx(expected.var(axis=0, ddof=1), abs=1e-5)
    assert estimate.samples == samples


def test_variance_does_not_vanish(bundle: tuple[Manifest, OrtEngine]) -> None:
    """With dropout left to ONNX Runtime it was exactly 0."""
    manifest, engine = bundle
    assert min(AffectPredictor(engine, manifest).predict(picture()).variance) > 0


def test_the_number_of_samples_defaults_to_the_bundles(bundle: tuple[Manifest, OrtEngine]) -> None:
    manifest, engine = bundle
    assert AffectPredictor(engine, manifest).predict(picture()).samples == 64


class Answers:
    """An engine at the seam that gives what it is told to."""

    provider = "none"

    def __init__(self, **outputs: list[float]) -> None:
        self._outputs = outputs

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> Mapping[str, NDArray[np.generic]]:
        assert inputs["masks"].shape[1] == MASK_WIDTH
        assert FEATURES < MASK_WIDTH
        return {name: np.array(values, dtype=np.float32) for name, values in self._outputs.items()}


@pytest.mark.parametrize(
    "outputs",
    [
        {"mean": [float("nan"), 1], "variance": [1, 1]},
        {"mean": [0, float("inf")], "variance": [1, 1]},
        {"mean": [0, 1], "variance": [float("nan"), 1]},
        {"mean": [0, 1], "variance": [-0.1, 1]},
        {"mean": [0, 1, 2], "variance": [1, 1]},
        {"mean": [0, 1]},
        {"mean": [65504, 1], "variance": [1, 1]},
        {"mean": [0, -6.1], "variance": [1, 1]},
        {"mean": [0, 1], "variance": [0, 0]},
    ],
)
def test_answers_that_make_no_sense_are_a_model_error(outputs: dict[str, list[float]]) -> None:
    with pytest.raises(ModelError, match="face-stub gave") as told:
        AffectPredictor(Answers(**outputs), mc_dropout_manifest()).predict(picture())
    # it goes to the log, where no feeling belongs
    assert not any(str(value) in str(told.value) for values in outputs.values() for value in values if value > 2)


def test_a_little_off_the_scale_is_an_answer_and_so_is_no_variance_on_one_axis() -> None:
    estimate = AffectPredictor(Answers(mean=[3.5, -0.5], variance=[0, 1]), mc_dropout_manifest()).predict(picture())
    assert (*estimate.mean, *estimate.variance) == (3.5, -0.5, 0.0, 1.0)


def test_one_sample_has_no_variance_and_is_an_answer() -> None:
    model = AffectPredictor(Answers(mean=[0, 1], variance=[0, 0]), mc_dropout_manifest(), samples=1)
    assert model.predict(picture()).variance == (0.0, 0.0)


def test_an_answer_that_is_no_number_is_a_model_error() -> None:
    class Words(Answers):
        def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> Mapping[str, NDArray[np.generic]]:
            return {"mean": np.array(["a", "b"]), "variance": np.ones(2, np.float32)}

    with pytest.raises(ModelError, match="as mean, expected two floats"):
        AffectPredictor(Words(), mc_dropout_manifest()).predict(picture())


def test_a_detector_is_no_affect_model(tmp_path: Path) -> None:
    from emomusic_edge.export.starter.detector import FULL_RANGE, detector_manifest

    with pytest.raises(ModelError, match="blazeface-full"):
        AffectPredictor(Answers(), detector_manifest(FULL_RANGE))
