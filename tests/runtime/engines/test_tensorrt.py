"""TensorRT's engine when something is wrong: each None and False, memory, foreign and altered plans, a lost GPU."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cuda_fake import FakeCudaDevice
from onnx import TensorProto, helper
from pages import text_of
from stub_models import MASK_WIDTH, SIZE_PX, mc_dropout_graph, reference_samples
from tensorrt_fake import NAMES, VERSIONS, FakeTensorRT

from emomusic_edge.errors import ModelError
from emomusic_edge.export.tensorrt.build import BuildRequest, SampleRange, build_engine
from emomusic_edge.paths import packaged_bundle
from emomusic_edge.runtime.engines.tensorrt import LOAD_TIMEOUT_S, RUN_TIMEOUT_S, TensorRTEngine, import_tensorrt

IMAGE = np.full((1, SIZE_PX, SIZE_PX, 3), 80, np.uint8)
MASKS = np.random.default_rng(1).random((16, MASK_WIDTH)).astype(np.float32)
INPUTS = {"image": IMAGE, "masks": MASKS}


class Gpu:
    """Makes devices and keeps them, to be looked at and to be lost."""

    def __init__(self, memory_bytes: int = 1 << 30) -> None:
        self._memory_bytes = memory_bytes
        self.devices: list[FakeCudaDevice] = []

    def __call__(self) -> FakeCudaDevice:
        self.devices.append(FakeCudaDevice(self._memory_bytes))
        return self.devices[-1]


@pytest.fixture(params=VERSIONS)
def trt(request: pytest.FixtureRequest) -> FakeTensorRT:
    return FakeTensorRT(request.param)


@pytest.fixture
def gpu() -> Gpu:
    return Gpu()


def plan_of(trt: FakeTensorRT, folder: Path, graph: onnx.ModelProto | None = None, most: int = 128) -> bytes:
    path = folder / "model.onnx"
    path.write_bytes((graph or mc_dropout_graph()).SerializeToString())
    return build_engine(trt, path, BuildRequest("stub", SampleRange(1, min(64, most), most)))


@pytest.fixture
def load(trt: FakeTensorRT, gpu: Gpu, tmp_path: Path) -> Iterator[Callable[..., TensorRTEngine]]:
    made: list[TensorRTEngine] = []

    def loaded(plan: bytes | None = None, **settings: Any) -> TensorRTEngine:
        plan = plan if plan is not None else plan_of(trt, tmp_path)
        made.append(TensorRTEngine(plan, name="stub", trt=trt, device=gpu, **settings))
        return made[-1]

    yield loaded
    for engine in made:
        engine.close()


Load = Callable[..., TensorRTEngine]


def test_it_says_what_it_runs_on(load: Load, trt: FakeTensorRT) -> None:
    assert load().provider == f"TensorRT {trt.__version__}"


def test_only_names_that_all_versions_have_are_asked_for(tmp_path: Path) -> None:
    for version in VERSIONS:
        trt = FakeTensorRT(version)
        plan = plan_of(trt, tmp_path)
        trt.asked_.clear()
        engine = TensorRTEngine(plan, name="stub", trt=trt, device=Gpu())
        engine.run(INPUTS)
        engine.close()
        assert len(trt.asked_) > 15
        for asked in trt.asked_:
            owner, _, name = asked.partition(".")
            assert all(name in NAMES[v][owner] for v in VERSIONS if owner in NAMES[v]), asked


def test_a_closed_form_runs_without_masks(load: Load, trt: FakeTensorRT) -> None:
    model = onnx.load(packaged_bundle("scene-starter") / "model.onnx")
    path = packaged_bundle("scene-starter") / "model.onnx"
    engine = load(build_engine(trt, path, BuildRequest("scene-starter")))
    sizes = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    out = engine.run({"image": np.full(sizes, 90, np.uint8)})
    assert set(out) == {"mean", "variance"}


# What crosses to the GPU


def test_a_frozen_bank_crosses_once_and_buffers_are_allocated_once(load: Load, gpu: Gpu) -> None:
    engine = load()
    (device,) = gpu.devices
    allocated = device.allocations
    for level in range(5):
        engine.run({"image": np.full_like(IMAGE, level), "masks": MASKS})
    assert device.uploads.count(MASKS.nbytes) == 1
    assert device.uploads.count(IMAGE.nbytes) == 5
    engine.run({"image": np.full_like(IMAGE, 4), "masks": MASKS.copy()})
    assert len(device.uploads) == 6
    engine.run({"image": IMAGE, "masks": MASKS[:3]})
    engine.run({"image": IMAGE, "masks": MASKS})
    assert device.uploads.count(MASKS.nbytes) == 2
    assert device.allocations == allocated == 5


def test_the_range_of_samples_is_held(load: Load, trt: FakeTensorRT, tmp_path: Path) -> None:
    engine = load(plan_of(trt, tmp_path, most=8))
    with pytest.raises(ModelError, match=r"masks float32 \[1\.\.8, 10\]"):
        engine.run({"image": IMAGE, "masks": MASKS})
    assert engine.run({"image": IMAGE, "masks": MASKS[:8]})["samples"].shape == (8, 2)


# What does not load


def test_an_engine_of_another_version_or_gpu_is_refused(
    trt: FakeTensorRT, load: Load, tmp_path: Path, gpu: Gpu
) -> None:
    others = [FakeTensorRT(version) for version in VERSIONS if version != trt.__version__]
    for other in (*others, FakeTensorRT(trt.__version__, gpu="Thor")):
        with pytest.raises(ModelError, match=r"stub.*deserialize_cuda_engine"):
            load(plan_of(other, tmp_path))
    assert [device.closed for device in gpu.devices] == [True] * 3


@pytest.mark.parametrize("content", [b"", b"junk", b"FAKEPLAN{"])
def test_what_is_no_engine_is_refused(load: Load, content: bytes) -> None:
    with pytest.raises(ModelError, match="stub"):
        load(content)


LOADING: list[tuple[str, Any]] = [
    ("Runtime", None),
    ("Runtime.deserialize_cuda_engine", None),
    ("ICudaEngine.create_execution_context", None),
    ("ICudaEngine.get_tensor_profile_shape", []),
    ("IExecutionContext.set_input_shape", False),
    ("IExecutionContext.infer_shapes", ["masks"]),
    ("IExecutionContext.infer_shapes", RuntimeError("shape inference failed")),
    ("IExecutionContext.get_tensor_shape", (-1, 2)),
    ("IExecutionContext.set_tensor_address", False),
    ("ICudaEngine.get_tensor_dtype", "FP4"),
]


@pytest.mark.parametrize(("where", "answer"), LOADING, ids=[f"{where} {answer}" for where, answer in LOADING])
def test_each_failure_to_load_is_an_error_that_names_the_bundle(
    trt: FakeTensorRT, load: Load, tmp_path: Path, gpu: Gpu, where: str, answer: Any
) -> None:
    plan = plan_of(trt, tmp_path)
    trt.faults_[where] = answer
    with pytest.raises(ModelError, match="stub"):
        load(plan)
    assert gpu.devices[0].closed


def test_too_little_memory_is_an_error(trt: FakeTensorRT, tmp_path: Path) -> None:
    gpu = Gpu(memory_bytes=1000)
    with pytest.raises(ModelError, match="out of memory"):
        TensorRTEngine(plan_of(trt, tmp_path), name="stub", trt=trt, device=gpu)
    assert gpu.devices[0].closed


def test_a_gpu_that_does_not_open_is_an_error(trt: FakeTensorRT, tmp_path: Path) -> None:
    def broken() -> FakeCudaDevice:
        raise ModelError("CUDA: no context: unknown error")

    before = threading.active_count()
    with pytest.raises(ModelError, match="no context"):
        TensorRTEngine(plan_of(trt, tmp_path), name="stub", trt=trt, device=broken)
    assert threading.active_count() == before


# What fails while it runs

RUNNING: list[tuple[str, Any]] = [
    ("IExecutionContext.set_input_shape", False),
    ("IExecutionContext.infer_shapes", ["masks"]),
    ("IExecutionContext.get_tensor_shape", (999, 2)),
    ("IExecutionContext.get_tensor_shape", (-1, 2)),
    ("IExecutionContext.get_tensor_shape", (2,)),
    ("IExecutionContext.execute_async_v3", False),
    ("IExecutionContext.execute_async_v3", RuntimeError("CUDA error 700")),
]


@pytest.mark.parametrize(("where", "answer"), RUNNING, ids=[f"{where} {answer}" for where, answer in RUNNING])
def test_a_failure_while_running_is_an_error_and_the_last_call(
    trt: FakeTensorRT, load: Load, where: str, answer: Any
) -> None:
    engine = load()
    engine.run(INPUTS)
    trt.faults_[where] = answer
    with pytest.raises(ModelError, match="stub"):
        engine.run({"image": IMAGE, "masks": MASKS[:5]})
    trt.faults_.clear()
    with pytest.raises(ModelError, match="not run again") as told:
        engine.run(INPUTS)
    assert "models.engine" in told.value.mend


def test_a_lost_gpu_is_an_error_and_the_last_call(load: Load, gpu: Gpu) -> None:
    engine = load()
    gpu.devices[0].lost = True
    with pytest.raises(ModelError, match="illegal memory access"):
        engine.run(INPUTS)
    gpu.devices[0].lost = False
    with pytest.raises(ModelError, match="not run again"):
        engine.run(INPUTS)


def test_a_gpu_that_hangs_is_an_error_and_does_not_hold_the_caller(load: Load, gpu: Gpu) -> None:
    engine = load(run_timeout_s=0.2)
    release = threading.Event()
    gpu.devices[0].synchronize = lambda: release.wait(30)  # type: ignore[method-assign, assignment]
    with pytest.raises(ModelError, match=r"did not answer within 0\.2 s"):
        engine.run(INPUTS)
    with pytest.raises(ModelError, match="not run again"):
        engine.run(INPUTS)
    engine.close()
    release.set()


def test_values_that_are_not_finite_are_an_error_and_not_the_end(load: Load) -> None:
    engine = load()
    poisoned = MASKS.copy()
    poisoned[0] = np.inf
    with pytest.raises(ModelError, match="not finite"):
        engine.run({"image": IMAGE, "masks": poisoned})
    np.testing.assert_allclose(engine.run(INPUTS)["samples"], reference_samples(IMAGE, MASKS), atol=1e-5)


def test_half_precision_outputs_come_as_they_are(load: Load, trt: FakeTensorRT, tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["image"], ["scores"], to=TensorProto.FLOAT16)],
        "half",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 2, 2, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT16, [1, 2, 2, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    out = load(plan_of(trt, tmp_path, model)).run({"image": np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)})
    assert out["scores"].dtype == np.float16
    assert out["scores"].ravel().tolist() == list(range(12))


# The end


def test_closing_gives_everything_back_and_can_be_repeated(load: Load, gpu: Gpu) -> None:
    before = threading.active_count()
    engine = load()
    engine.run(INPUTS)
    engine.close()
    engine.close()
    assert gpu.devices[0].closed
    assert threading.active_count() == before
    with pytest.raises(ModelError, match="closed"):
        engine.run(INPUTS)


def test_two_engines_share_a_process(load: Load, gpu: Gpu) -> None:
    first, second = load(), load()
    expected = reference_samples(IMAGE, MASKS)
    for engine in (first, second, first):
        np.testing.assert_allclose(engine.run(INPUTS)["samples"], expected, atol=1e-5)
    first.close()
    np.testing.assert_allclose(second.run(INPUTS)["samples"], expected, atol=1e-5)


def test_two_engines_that_load_at_once_share_one_logger(
    trt: FakeTensorRT, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT keeps the first it gets for good: one that was dropped would be called where nothing lies any more."""
    plan = plan_of(trt, tmp_path)
    together = threading.Barrier(2)
    made: list[object] = []

    class Counted(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            # Nobody comes when one of them waits until the other has its logger.
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(0.5)
            super().__init__()
            made.append(self)

    monkeypatch.setitem(trt._classes, "ILogger", Counted)
    with ThreadPoolExecutor() as pool:
        engines = list(pool.map(load, [plan, plan]))
    assert len(made) == 1
    for engine in engines:
        np.testing.assert_allclose(engine.run(INPUTS)["samples"], reference_samples(IMAGE, MASKS), atol=1e-5)


def test_without_tensorrt_the_error_says_where_it_comes_from() -> None:
    try:
        import tensorrt  # noqa: F401
    except ImportError:
        with pytest.raises(ModelError, match="not in this environment") as told:
            import_tensorrt()
        assert "--system-site-packages" in told.value.mend
    else:
        pytest.skip("TensorRT is in this environment")


def test_a_library_that_tensorrt_misses_is_told_and_not_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import ctypes\nctypes.CDLL('libnvinfer-of-nobody.so.10')\n"
    (tmp_path / "tensorrt.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    with pytest.raises(ModelError, match="libnvinfer-of-nobody"):
        import_tensorrt()


def test_three_engines_that_hang_do_not_outlast_the_start_of_the_service() -> None:
    unit = text_of("systemd/emomusic-edge.service")
    start_s = float(re.findall(r"^TimeoutStartSec=(\d+)$", unit, flags=re.MULTILINE)[0])
    assert start_s > 3 * (LOAD_TIMEOUT_S + RUN_TIMEOUT_S)
