"""The GPU's memory column: asked of the driver around engines that run there, and of nothing else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from reports import report, result
from rich.console import Console
from stub_models import write_mc_dropout_bundle

from emomusic_edge.cuda_probe import Gpu
from emomusic_edge.engine_store import EngineStore
from emomusic_edge.runtime.app import engine_makers
from emomusic_edge.runtime.bench.cases import Wanted, load_cases
from emomusic_edge.runtime.bench.gpu_memory import used_gpu_mb
from emomusic_edge.runtime.bench.report import BenchReport
from emomusic_edge.runtime.bench.tables import report_view
from emomusic_edge.runtime.engines.choose import EngineMakers


class FakeMemoryDriver:
    """libcuda with 8 GiB, 1.5 of them in use; `fail` names a call that returns an error."""

    def __init__(self, fail: str = "") -> None:
        self._fail = fail
        self.retained = self.pushed = 0

    def __getattr__(self, name: str) -> Any:
        def called(*arguments: Any) -> int:
            if name == self._fail:
                return 2
            match name:
                case "cuInit":
                    pass
                case "cuDevicePrimaryCtxRetain":
                    self.retained += 1
                case "cuDevicePrimaryCtxRelease_v2":
                    self.retained -= 1
                case "cuCtxPushCurrent_v2":
                    self.pushed += 1
                case "cuCtxPopCurrent_v2":
                    self.pushed -= 1
                case "cuMemGetInfo_v2":
                    assert self.pushed, "no context"
                    free, total = (argument._obj for argument in arguments)
                    free.value, total.value = 6656 << 20, 8192 << 20
                case _:
                    raise AttributeError(name)
            return 0

        return called


def test_what_is_in_use_is_the_total_less_what_is_free() -> None:
    driver = FakeMemoryDriver()
    assert used_gpu_mb(lambda name: driver) == 1536.0
    assert (driver.retained, driver.pushed) == (0, 0)


@pytest.mark.parametrize("fail", ["cuInit", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2", "cuMemGetInfo_v2"])
def test_a_driver_that_does_not_tell_gives_none_and_is_left_as_it_was(fail: str) -> None:
    driver = FakeMemoryDriver(fail)
    assert used_gpu_mb(lambda name: driver) is None
    assert (driver.retained, driver.pushed) == (0, 0)


def test_without_a_driver_there_is_none() -> None:
    def missing(name: str) -> Any:
        raise OSError(name)

    assert used_gpu_mb(missing) is None


def test_an_engine_on_the_cpu_asks_no_gpu(tmp_path: Path) -> None:
    write_mc_dropout_bundle(tmp_path / "face-stub")

    def asked() -> float:
        raise AssertionError("the GPU was asked")

    wanted = [Wanted(tmp_path / "face-stub", (5,), ("cpu",))]
    loaded = load_cases(wanted, engine_makers(1), EngineStore(tmp_path / "engines"), asked)
    assert [case.gpu_memory_mb for case in loaded.cases] == [None]
    loaded.close()


class PretendedCudaEngine:
    """Runs on the CPU and says that it is CUDA."""

    provider = "CUDAExecutionProvider"

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def test_growth_around_loading_is_told_for_an_engine_on_the_gpu_alone(tmp_path: Path) -> None:
    write_mc_dropout_bundle(tmp_path / "face-stub")
    real = engine_makers(1)

    def onnx_runtime(model: Any, name: str, providers: Any) -> Any:
        engine = real.onnx_runtime(model, name, ["CPUExecutionProvider"])
        return PretendedCudaEngine(engine) if "CUDAExecutionProvider" in providers else engine

    gpu = Gpu(name="Orin", multiprocessors=8, compute_capability="8.7", cuda="12.6", l4t=None)
    makers = EngineMakers(lambda: gpu, real.import_tensorrt, real.tensorrt, onnx_runtime)
    told = iter([1000.0, 1250.0])
    wanted = [Wanted(tmp_path / "face-stub", (5,), ("cuda", "cpu"))]
    loaded = load_cases(wanted, makers, EngineStore(tmp_path / "engines"), lambda: next(told))
    assert {case.case.engine: case.gpu_memory_mb for case in loaded.cases} == {"cuda": 250.0, "cpu": None}
    loaded.close()


def shown(told: BenchReport) -> str:
    text = io.StringIO()
    Console(file=text, width=160).print(report_view(told))
    return text.getvalue()


def test_the_column_is_there_when_an_engine_ran_on_the_gpu() -> None:
    on_gpu = result(2.0, engine="cuda").model_copy(update={"gpu_memory_mb": 250.0})
    with_gpu = report(on_gpu, result(1.0))
    assert "GPU MiB" in shown(with_gpu)
    assert "+250" in shown(with_gpu)
    assert "GPU MiB" not in shown(report(result(1.0)))
    again = BenchReport.model_validate_json(with_gpu.model_dump_json())
    assert [case.gpu_memory_mb for case in again.cases] == [250.0, None]
