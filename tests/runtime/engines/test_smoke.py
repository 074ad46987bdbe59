"""An engine is accepted only when it answers as its source did."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_fake import FakeCudaDevice
from numpy.typing import NDArray
from stub_models import (
    DROPOUT_P,
    MASK_WIDTH,
    SIZE_PX,
    mc_dropout_graph,
    mc_dropout_manifest,
    reference_samples,
    write_mc_dropout_bundle,
)
from tensorrt_fake import VERSIONS, FakeTensorRT

from emomusic_edge.errors import ModelError
from emomusic_edge.export.tensorrt.build import BuildRequest, SampleRange, build_engine
from emomusic_edge.made_pictures import made_picture
from emomusic_edge.manifest import MANIFEST_NAME, MODEL_NAME, Manifest
from emomusic_edge.parity_bounds import PARITY_BOUNDS, ParityBound
from emomusic_edge.parity_record import PARITY_NAME, ParityRecord, packed_rows
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.engines.smoke import SmokeJob, smoke
from emomusic_edge.runtime.engines.tensorrt import TensorRTEngine

Rows = NDArray[np.floating[Any]]


def pairs(values: Rows) -> tuple[tuple[float, float], ...]:
    return tuple((float(valence), float(arousal)) for valence, arousal in values)


def write_recorded_bundle(folder: Path, *, off_by: float = 0.0, precision: str = "fp32") -> None:
    """The stub as an exported bundle, with the answers of numpy; `off_by` falsifies one of them."""
    rows = np.random.default_rng(4).random((12, MASK_WIDTH)) < 1 - DROPOUT_P
    masks = np.divide(rows, 1 - DROPOUT_P, dtype=np.float32)
    pictures = [made_picture(number, SIZE_PX, SIZE_PX) for number in range(2)]
    samples = [reference_samples(picture, masks) for picture in pictures]
    samples[1][3, 0] += off_by
    ones = np.ones((1, MASK_WIDTH), np.float32)
    record = ParityRecord(
        reference="numpy",
        pictures=2,
        mask_width=MASK_WIDTH,
        kept=packed_rows(rows),
        deterministic=pairs(np.concatenate([reference_samples(picture, ones) for picture in pictures])),
        samples=tuple(pairs(values) for values in samples),
    )
    folder.mkdir(parents=True)
    content = {
        MODEL_NAME: mc_dropout_graph().SerializeToString(deterministic=True),
        PARITY_NAME: record.model_dump_json().encode(),
    }
    for name, data in content.items():
        (folder / name).write_bytes(data)
    files = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    manifest = Manifest.model_validate(mc_dropout_manifest().model_dump() | {"files": files, "precision": precision})
    (folder / MANIFEST_NAME).write_text(manifest.to_json())


class Bench:
    """Builds the engine of a bundle with a fake TensorRT and runs the smoke job on it."""

    def __init__(self, folder: Path, version: str = VERSIONS[0]) -> None:
        self._folder = folder
        self.trt = FakeTensorRT(version)

    def smoke(self, bundle: Path, most: int = 128, bend: Any = None) -> dict[str, Any]:
        request = BuildRequest(bundle.name, SampleRange(1, min(64, most), most))
        plan = build_engine(self.trt, bundle / MODEL_NAME, request)
        file = self._folder / "engine.plan"
        file.write_bytes(plan)
        job = SmokeJob(str(bundle), str(file), hashlib.sha256(plan).hexdigest(), most)

        def make(content: bytes, name: str) -> TensorRTEngine:
            engine = TensorRTEngine(content, name=name, trt=self.trt, device=FakeCudaDevice)
            if bend is not None:
                inner = engine.run
                engine.run = lambda inputs: bend({**inner(inputs)})  # type: ignore[method-assign]
            return engine

        return smoke(job, make)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_like_its_source_is_accepted(tmp_path: Path, version: str) -> None:
    write_recorded_bundle(tmp_path / "face-stub")
    figures = Bench(tmp_path, version).smoke(tmp_path / "face-stub")
    assert figures["reference"] == "numpy, recorded in the bundle"
    assert figures["inferences"] == 4
    assert figures["difference"] < 1e-5
    assert figures["run_ms"] > 0


def test_more_recorded_rows_than_it_takes_go_in_parts(bench: Bench, tmp_path: Path) -> None:
    write_recorded_bundle(tmp_path / "face-stub")
    assert bench.smoke(tmp_path / "face-stub", most=5)["inferences"] == 2 * (3 + 1)


def test_the_bounds_are_those_of_the_precision(bench: Bench, tmp_path: Path) -> None:
    write_recorded_bundle(tmp_path / "off", off_by=0.03)
    with pytest.raises(ModelError, match=r"0\.03 from numpy.*at most 0\.02 max abs") as told:
        bench.smoke(tmp_path / "off")
    assert told.value.mend
    write_recorded_bundle(tmp_path / "half", off_by=0.03, precision="fp16")
    assert bench.smoke(tmp_path / "half")["bound"] == "0.02 mean abs"


@pytest.mark.parametrize(("precision", "off_by"), [("fp16", 3.0), ("int8", 9.0)])
def test_too_far_on_average_is_refused(bench: Bench, tmp_path: Path, precision: str, off_by: float) -> None:
    write_recorded_bundle(tmp_path / "off", off_by=off_by, precision=precision)
    with pytest.raises(ModelError, match="mean abs"):
        bench.smoke(tmp_path / "off")


def bent_samples(outputs: Mapping[str, Rows]) -> Mapping[str, Rows]:
    return {**outputs, "samples": np.zeros_like(outputs["samples"])}


def bent_variance(outputs: Mapping[str, Rows]) -> Mapping[str, Rows]:
    # what a variance over T instead of T - 1, or one of another axis, would look like
    return {**outputs, "variance": outputs["variance"] * 0.5}


def bent_shape(outputs: Mapping[str, Rows]) -> Mapping[str, Rows]:
    return {**outputs, "samples": np.concatenate([outputs["samples"]] * 2)}


@pytest.mark.parametrize(
    ("bend", "told"), [(bent_samples, "dropout was lost"), (bent_variance, "gives variance"), (bent_shape, "gives ")]
)
def test_an_engine_whose_samples_do_not_follow_its_masks_is_refused(
    bench: Bench, tmp_path: Path, bend: Any, told: str
) -> None:
    write_recorded_bundle(tmp_path / "face-stub")
    with pytest.raises(ModelError, match=told):
        bench.smoke(tmp_path / "face-stub", bend=bend)


def test_a_bundle_without_a_record_is_held_against_onnx_runtime(bench: Bench, tmp_path: Path) -> None:
    write_mc_dropout_bundle(tmp_path / "face-stub")
    figures = bench.smoke(tmp_path / "face-stub")
    assert figures["reference"] == "ONNX Runtime on the CPU"
    assert figures["difference"] < 1e-5


def test_the_starter_set_passes(bench: Bench, starter_layout: DataLayout) -> None:
    for bundle in sorted(starter_layout.bundles.iterdir()):
        assert bench.smoke(bundle)["inferences"] == 3


def test_an_altered_plan_is_never_loaded(bench: Bench, tmp_path: Path) -> None:
    write_recorded_bundle(tmp_path / "face-stub")
    (tmp_path / "engine.plan").write_bytes(b"other")
    job = SmokeJob(str(tmp_path / "face-stub"), str(tmp_path / "engine.plan"), "0" * 64, 128)
    with pytest.raises(ModelError, match="not the file"):
        smoke(job, lambda plan, name: pytest.fail("it was loaded"))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("bound", PARITY_BOUNDS.values())
def test_a_difference_that_is_not_finite_is_beyond_every_bound(bound: ParityBound) -> None:
    assert bound.holds(np.zeros(3))
    assert not bound.holds(np.array([0.0, np.nan]))
    assert not bound.holds(np.array([0.0, np.inf]))
