"""What only an NVIDIA GPU can prove. docs/jetson-checklist.md lists these tests, and is held to the list."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from stub_models import SIZE_PX, mc_dropout_manifest, reference_samples, write_mc_dropout_bundle

from emomusic_edge.cuda_probe import Gpu, probe_cuda
from emomusic_edge.engine_store import PLAN_NAME, EngineStore, StoredEngine, engine_key
from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import read_bundle
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.engines.cuda import CudaDevice, open_device
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.engines.tensorrt import TensorRTEngine, import_tensorrt
from emomusic_edge.runtime.predictors import MaskBank

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def gpu() -> Gpu:
    found = probe_cuda()
    if isinstance(found, str):
        pytest.skip(f"needs an NVIDIA GPU: {found}")
    return found


@pytest.fixture(scope="module")
def tensorrt_gpu(gpu: Gpu) -> Gpu:
    try:
        import_tensorrt()
    except ModelError as error:
        pytest.skip(f"needs TensorRT: {error}")
    return gpu


@pytest.fixture(scope="module")
def layout(tensorrt_gpu: Gpu, tmp_path_factory: pytest.TempPathFactory) -> DataLayout:
    """A data folder with the stub bundle and the engine that `export engine` built of it."""
    folder = DataLayout(tmp_path_factory.mktemp("data"))
    write_mc_dropout_bundle(folder.bundle("face-stub"))
    _export(folder, "face-stub")
    return folder


def _export(layout: DataLayout, bundle: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "emomusic_edge", "export", "engine", bundle, "--json"],
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        env={**os.environ, "EMOMUSIC_PATHS__DATA_DIR": str(layout.root)},
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def _stored(layout: DataLayout, gpu: Gpu) -> StoredEngine:
    manifest, _ = read_bundle(layout.bundle("face-stub"))
    key = engine_key(manifest, gpu, str(import_tensorrt().__version__))
    found = EngineStore(layout.engines).find("face-stub", key, 64)
    assert isinstance(found, StoredEngine), found
    return found


@pytest.fixture
def engine(layout: DataLayout, gpu: Gpu) -> Iterator[TensorRTEngine]:
    made = TensorRTEngine(_stored(layout, gpu).plan, name="face-stub", trt=import_tensorrt())
    yield made
    made.close()


def _inputs(samples: int, seed: int = 0) -> dict[str, np.ndarray]:
    dropout = mc_dropout_manifest().mc_dropout
    assert dropout is not None
    image = np.random.default_rng(seed).integers(0, 256, (1, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    return {"image": image, "masks": MaskBank(dropout, samples=samples, kind="frozen", seed=seed).rows()}


@pytest.mark.parametrize("library", ["pycuda", "cuda-python"])
def test_copies_through_each_cuda_library_come_back_whole(gpu: Gpu, library: str) -> None:
    module, name, needs = {
        "pycuda": ("pycuda_device", "PycudaDevice", "pycuda"),
        "cuda-python": ("cuda_python_device", "CudaPythonDevice", "cuda"),
    }[library]
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f"needs {library}")
    wrapper = importlib.import_module(f"emomusic_edge.runtime.engines.{module}")
    device: CudaDevice = getattr(wrapper, name)()
    try:
        there, back = (device.page_locked((64, 1280), np.float32) for _ in range(2))
        there[...] = np.random.default_rng(0).random((64, 1280))
        back[...] = 0
        address = device.allocate(there.nbytes)
        device.upload(address, there)
        device.download(back, address)
        device.synchronize()
        np.testing.assert_array_equal(back, there)
        assert device.stream != 0
    finally:
        del there, back
        device.close()


def test_more_memory_than_there_is_is_an_error_and_no_crash(gpu: Gpu) -> None:
    device = open_device()
    try:
        with pytest.raises(ModelError, match="CUDA"):
            device.allocate(1 << 45)
        device.allocate(1 << 20)
        device.synchronize()
    finally:
        device.close()


def test_an_engine_is_built_and_answers_as_numpy_does(engine: TensorRTEngine) -> None:
    for samples in (1, 2, 64, 128, 5):
        inputs = _inputs(samples)
        out = engine.run(inputs)
        expected = reference_samples(inputs["image"], inputs["masks"])
        np.testing.assert_allclose(out["samples"], expected, atol=0.02)
        if samples > 1:
            assert (out["samples"].std(axis=0) > 0).all()


def test_the_same_frame_gives_the_same_answer(engine: TensorRTEngine) -> None:
    first = engine.run(_inputs(64))["samples"]
    engine.run(_inputs(64, seed=1))
    np.testing.assert_array_equal(engine.run(_inputs(64))["samples"], first)


def test_two_engines_and_onnx_runtime_share_the_process(layout: DataLayout, gpu: Gpu, engine: TensorRTEngine) -> None:
    _, model = read_bundle(layout.bundle("face-stub"))
    cpu = OrtEngine(model, name="face-stub", providers=["CPUExecutionProvider"])
    other = TensorRTEngine(_stored(layout, gpu).plan, name="face-stub", trt=import_tensorrt())
    try:
        for seed in range(5):
            expected = cpu.run(_inputs(16, seed))["samples"]
            for one in (engine, other):
                np.testing.assert_allclose(one.run(_inputs(16, seed))["samples"], expected, atol=0.02)
    finally:
        other.close()


def test_what_is_no_engine_is_an_error_and_no_crash(gpu: Gpu, layout: DataLayout) -> None:
    plan = _stored(layout, gpu).plan
    for content in (b"", b"no engine", plan[: len(plan) // 2]):
        with pytest.raises(ModelError, match="face-stub"):
            TensorRTEngine(content, name="face-stub", trt=import_tensorrt())


def test_an_altered_engine_is_passed_over(layout: DataLayout, gpu: Gpu) -> None:
    stored = _stored(layout, gpu)
    plan = stored.folder / PLAN_NAME
    plan.write_bytes(stored.plan[:-1] + bytes([stored.plan[-1] ^ 1]))
    try:
        key = engine_key(read_bundle(layout.bundle("face-stub"))[0], gpu, str(import_tensorrt().__version__))
        assert "is not the file its record describes" in str(EngineStore(layout.engines).find("face-stub", key, 64))
    finally:
        plan.write_bytes(stored.plan)


def test_a_second_build_is_helped_by_the_timing_cache(layout: DataLayout, gpu: Gpu) -> None:
    cache = EngineStore(layout.engines).timing_cache(gpu.compute_capability)
    assert cache.stat().st_size > 32
    assert _export(layout, "face-stub")["tensorrt"]


def test_every_bundle_of_the_starter_set_becomes_an_engine(
    tensorrt_gpu: Gpu, starter_layout: DataLayout, tmp_path: Path
) -> None:
    layout = DataLayout(tmp_path)
    layout.root.mkdir(exist_ok=True)
    layout.bundles.symlink_to(starter_layout.bundles)
    for name in ("face-starter", "scene-starter", "blazeface-full", "blazeface-short"):
        assert _export(layout, name)["tensorrt"]
