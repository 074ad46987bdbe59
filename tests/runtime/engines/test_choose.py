"""The fall-back: TensorRT, else ONNX Runtime on CUDA, else on the CPU; and why."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from cuda_fake import FakeCudaDevice
from stub_models import MASK_WIDTH, SIZE_PX, mc_dropout_graph, mc_dropout_manifest, write_mc_dropout_bundle
from tensorrt_fake import VERSIONS, FakeTensorRT

from emomusic_edge.contracts import InferenceEngine
from emomusic_edge.cuda_probe import Gpu
from emomusic_edge.engine_store import LOADING_NAME, PLAN_NAME, EngineRecord, EngineStore, engine_key
from emomusic_edge.errors import ModelError
from emomusic_edge.export.bundle import write_bundle
from emomusic_edge.export.tensorrt.build import BuildRequest, build_engine
from emomusic_edge.manifest import Manifest, read_bundle
from emomusic_edge.model_file import ModelFile, open_bundle
from emomusic_edge.runtime.engines.choose import CPU_PROVIDER, CUDA_PROVIDER, Chosen, EngineMakers, choose_engine
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.engines.tensorrt import TensorRTEngine

ORIN = Gpu("Orin", 8, "8.7", "12.6", "36.4.3")
NO_DRIVER = "no NVIDIA driver was found"
Wanted = Literal["auto", "tensorrt", "cuda", "cpu"]


class CudaOrt:
    """Stands for an ONNX Runtime that was built with CUDA."""

    provider = CUDA_PROVIDER

    def __init__(self, fault: Exception | None = None) -> None:
        self._fault = fault

    def run(self, inputs: Any) -> Any:
        assert inputs["image"].shape == (1, SIZE_PX, SIZE_PX, 3)
        assert inputs["masks"].shape == (64, MASK_WIDTH)
        if self._fault is not None:
            raise self._fault
        return {"mean": np.zeros(2, np.float32), "variance": np.ones(2, np.float32)}


class Machine:
    """What a machine has; `chosen` loads the stub bundle on it."""

    def __init__(self, folder: Path) -> None:
        self.bundle = folder / "models" / "face-stub"
        write_mc_dropout_bundle(self.bundle)
        self.model: bytes | ModelFile
        self.manifest, self.model = read_bundle(self.bundle)
        self.store = EngineStore(folder / "engines")
        self.gpu: Gpu | str = ORIN
        self.trt: FakeTensorRT | None = FakeTensorRT(VERSIONS[0])
        self.ort_on_cuda: Callable[[], InferenceEngine] | None = None
        self.import_fault: Exception | None = None
        self.make_fault: Exception | None = None
        self.devices: list[FakeCudaDevice] = []
        self.device: Callable[[], FakeCudaDevice] = FakeCudaDevice
        self.asked: list[str] = []
        self.built: list[Sequence[str]] = []

    def keep_engine(self, trt: FakeTensorRT | None = None, gpu: Gpu = ORIN) -> Path:
        trt = trt or self.trt
        assert trt is not None
        plan = build_engine(trt, self.bundle / "model.onnx", BuildRequest("face-stub"))
        record = EngineRecord(
            key=engine_key(self.manifest, gpu, trt.__version__, (1, 64, 128)),
            plan_sha256=hashlib.sha256(plan).hexdigest(),
            smoke={},
            created_at=datetime(2026, 11, 24, tzinfo=timezone.utc),
        )
        return self.store.write("face-stub", record, plan)

    def chosen(self, wanted: Wanted = "auto", samples: int | None = None, manifest: Manifest | None = None) -> Chosen:
        makers = EngineMakers(self._probe, self._import, self._tensorrt, self._onnx_runtime)
        return choose_engine(
            self.model, manifest or self.manifest, makers, wanted=wanted, samples=samples, store=self.store
        )

    def _probe(self) -> Gpu | str:
        self.asked.append("probe")
        return self.gpu

    def _import(self) -> Any:
        self.asked.append("import")
        if self.trt is None:
            raise ModelError("TensorRT's Python bindings are not in this environment", mend="--system-site-packages")
        if self.import_fault is not None:
            raise self.import_fault
        return self.trt

    def _tensorrt(self, plan: bytes, name: str, trt: Any) -> TensorRTEngine:
        if self.make_fault is not None:
            raise self.make_fault
        return TensorRTEngine(plan, name=name, trt=trt, device=self._device)

    def _device(self) -> FakeCudaDevice:
        self.devices.append(self.device())
        return self.devices[-1]

    def _onnx_runtime(self, model: bytes, name: str, providers: Sequence[str]) -> InferenceEngine:
        self.built.append(providers)
        if self.ort_on_cuda is not None and CUDA_PROVIDER in providers:
            return self.ort_on_cuda()
        return OrtEngine(model, name=name, providers=[p for p in providers if p == CPU_PROVIDER])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def grave(chosen: Chosen) -> list[str]:
    return [reason.what for reason in chosen.passed_over if reason.level >= logging.WARNING]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wanted", ["auto", "tensorrt"])
def test_an_engine_that_was_built_here_is_taken(machine: Machine, version: str, wanted: Wanted) -> None:
    machine.trt = FakeTensorRT(version)
    machine.keep_engine()
    chosen = machine.chosen(wanted)
    assert chosen.engine.provider == f"TensorRT {version}"
    assert chosen.passed_over == ()
    out = chosen.engine.run(
        {"image": np.zeros((1, SIZE_PX, SIZE_PX, 3), np.uint8), "masks": np.ones((4, MASK_WIDTH), np.float32)}
    )
    assert out["samples"].shape == (4, 2)
    chosen.close()
    with pytest.raises(ModelError, match="closed"):
        chosen.engine.run({})


def test_without_a_driver_tensorrt_is_never_imported(machine: Machine) -> None:
    machine.gpu = NO_DRIVER
    machine.keep_engine()
    chosen = machine.chosen()
    assert machine.asked == ["probe"]
    assert chosen.engine.provider == CPU_PROVIDER
    assert [reason.reason for reason in chosen.passed_over] == [NO_DRIVER] * 2
    assert grave(chosen) == []


def test_asking_for_the_cpu_asks_for_nothing_else(machine: Machine) -> None:
    machine.keep_engine()
    chosen = machine.chosen("cpu")
    assert (chosen.engine.provider, chosen.passed_over, machine.asked) == (CPU_PROVIDER, (), [])


def test_what_was_asked_for_by_name_and_is_not_there_is_a_warning(machine: Machine) -> None:
    machine.gpu = NO_DRIVER
    assert grave(machine.chosen("tensorrt")) == ["TensorRT"]
    assert grave(machine.chosen("cuda")) == ["CUDA"]
    machine.gpu, machine.trt = ORIN, None
    chosen = machine.chosen("tensorrt")
    assert grave(chosen) == ["TensorRT"]
    assert "--system-site-packages" in str(chosen.passed_over[0])


def test_cuda_comes_before_the_cpu(machine: Machine) -> None:
    machine.ort_on_cuda = CudaOrt
    for wanted in ("auto", "tensorrt", "cuda"):
        assert machine.chosen(wanted).engine.provider == CUDA_PROVIDER  # type: ignore[arg-type]
    assert [reason.what for reason in machine.chosen().passed_over] == ["TensorRT"]
    assert machine.chosen("cuda").passed_over == ()


def test_an_onnx_runtime_without_cuda_is_told(machine: Machine) -> None:
    chosen = machine.chosen("cuda")
    assert chosen.engine.provider == CPU_PROVIDER
    assert grave(chosen) == ["CUDA"]
    assert CPU_PROVIDER in chosen.passed_over[0].reason


@pytest.mark.parametrize("wanted", ["auto", "tensorrt", "cuda"])
def test_without_cuda_the_session_for_the_cpu_is_built_once(machine: Machine, wanted: Wanted) -> None:
    chosen = machine.chosen(wanted)
    assert machine.built == [[CUDA_PROVIDER, CPU_PROVIDER]]
    assert chosen.engine.provider == CPU_PROVIDER
    assert [reason.what for reason in chosen.passed_over][-1] == "CUDA"
    out = chosen.engine.run(
        {"image": np.zeros((1, SIZE_PX, SIZE_PX, 3), np.uint8), "masks": np.ones((4, MASK_WIDTH), np.float32)}
    )
    assert out["samples"].shape == (4, 2)


def test_without_cuda_a_form_for_processors_gets_a_session_of_its_own(machine: Machine) -> None:
    write_bundle(machine.bundle, mc_dropout_graph(), mc_dropout_manifest(), for_cpu=mc_dropout_graph())
    machine.manifest, machine.model = open_bundle(machine.bundle)
    chosen = machine.chosen("cuda")
    assert machine.built == [[CUDA_PROVIDER, CPU_PROVIDER], [CPU_PROVIDER]]
    assert chosen.engine.provider == CPU_PROVIDER


def test_a_session_on_neither_is_passed_over_for_the_cpu(machine: Machine) -> None:
    class Elsewhere(CudaOrt):
        provider = "SomeExecutionProvider"

    machine.ort_on_cuda = Elsewhere
    chosen = machine.chosen("cuda")
    assert chosen.engine.provider == CPU_PROVIDER
    assert "SomeExecutionProvider" in chosen.passed_over[0].reason
    assert machine.built == [[CUDA_PROVIDER, CPU_PROVIDER], [CPU_PROVIDER]]


def refusing() -> InferenceEngine:
    raise ModelError("Model face-stub does not load: CUDA failure 35")


def breaking() -> InferenceEngine:
    raise OSError("libcudnn.so.9: cannot open shared object file")


def failing() -> InferenceEngine:
    return CudaOrt(ModelError("Model face-stub failed: no kernel image is available"))


@pytest.mark.parametrize(
    ("on_cuda", "told"), [(refusing, "CUDA failure 35"), (breaking, "libcudnn.so.9"), (failing, "no kernel image")]
)
def test_a_cuda_session_that_fails_is_told_and_the_cpu_runs_it(
    machine: Machine, on_cuda: Callable[[], InferenceEngine], told: str
) -> None:
    machine.ort_on_cuda = on_cuda
    for wanted in ("auto", "cuda"):
        chosen = machine.chosen(wanted)  # type: ignore[arg-type]
        assert chosen.engine.provider == CPU_PROVIDER
        assert "CUDA" in grave(chosen)
        assert told in chosen.passed_over[-1].reason


def test_no_engine_yet_says_how_to_make_one(machine: Machine) -> None:
    (first, *_) = machine.chosen().passed_over
    assert (first.what, first.reason) == ("TensorRT", "face-stub has no engine yet")
    assert first.mend == "emomusic-edge export engine face-stub"


def passed_over(machine: Machine) -> str:
    chosen = machine.chosen()
    assert chosen.engine.provider == CPU_PROVIDER
    assert "TensorRT" in grave(chosen)
    assert chosen.passed_over[0].mend == "emomusic-edge export engine face-stub"
    return chosen.passed_over[0].reason


def test_a_stale_engine_is_passed_over(machine: Machine) -> None:
    machine.keep_engine(FakeTensorRT("10.16.1"))
    assert "built for TensorRT 10.16.1, here it is 10.3.0" in passed_over(machine)


def test_a_foreign_engine_is_passed_over(machine: Machine) -> None:
    machine.keep_engine(gpu=dataclasses.replace(ORIN, multiprocessors=16))
    assert "Orin, 16 multiprocessors" in passed_over(machine)


def test_an_engine_of_another_model_is_passed_over(machine: Machine) -> None:
    machine.keep_engine()
    machine.manifest = machine.manifest.model_copy(update={"files": {"model.onnx": "f" * 64}})
    assert "for model" in passed_over(machine)


def test_an_altered_engine_is_passed_over(machine: Machine) -> None:
    plan = machine.keep_engine() / PLAN_NAME
    plan.write_bytes(plan.read_bytes()[:-1] + b"!")
    assert "is not the file its record describes" in passed_over(machine)


def test_more_samples_than_it_takes_pass_it_over(machine: Machine) -> None:
    machine.keep_engine()
    assert machine.chosen(samples=128).engine.provider.startswith("TensorRT")
    assert "129 are asked for" in machine.chosen(samples=129).passed_over[0].reason


@pytest.mark.parametrize("where", ["Runtime.deserialize_cuda_engine", "ICudaEngine.create_execution_context"])
def test_one_that_does_not_load_is_passed_over(machine: Machine, where: str) -> None:
    machine.keep_engine()
    assert machine.trt is not None
    machine.trt.faults_[where] = None
    assert where.split(".")[1] in passed_over(machine)


def test_one_that_loads_and_does_not_run_is_passed_over_and_closed(machine: Machine) -> None:
    folder = machine.keep_engine()
    assert machine.trt is not None
    machine.trt.faults_["IExecutionContext.execute_async_v3"] = False
    assert "execute_async_v3" in passed_over(machine)
    assert [device.closed for device in machine.devices] == [True]
    assert not (folder / LOADING_NAME).exists()


def no_device() -> FakeCudaDevice:
    raise OSError("libcuda.so.1: cannot open shared object file")


def test_whatever_is_raised_by_loading_goes_to_the_next_rung(machine: Machine) -> None:
    folder = machine.keep_engine()
    assert machine.trt is not None
    for fault in (OSError("I/O error"), RuntimeError("internal"), MemoryError(), TypeError("nullptr")):
        machine.trt.faults_["Runtime.deserialize_cuda_engine"] = fault
        assert (str(fault) or "MemoryError") in passed_over(machine)
    assert all(device.closed for device in machine.devices)
    machine.device = no_device
    assert "Model face-stub: its engine does not load: libcuda.so.1" in passed_over(machine)
    machine.make_fault = RuntimeError("can't start new thread")
    assert "RuntimeError: can't start new thread" in passed_over(machine)
    assert not (folder / LOADING_NAME).exists()


@pytest.mark.parametrize("fault", [OSError("libnvinfer.so.10: cannot open shared object file"), RuntimeError("half")])
def test_whatever_the_import_raises_goes_to_the_next_rung(machine: Machine, fault: Exception) -> None:
    machine.import_fault = fault
    chosen = machine.chosen("tensorrt")
    assert chosen.engine.provider == CPU_PROVIDER
    assert grave(chosen) == ["TensorRT"]
    assert str(fault) in chosen.passed_over[0].reason


def test_a_module_that_only_bears_the_name_goes_to_the_next_rung(machine: Machine) -> None:
    machine.trt = object()  # type: ignore[assignment]
    chosen = machine.chosen("tensorrt")
    assert chosen.engine.provider == CPU_PROVIDER
    assert "__version__" in chosen.passed_over[0].reason


def test_the_mark_of_loading_stands_until_the_first_inference_is_over(machine: Machine) -> None:
    folder = machine.keep_engine()
    seen = []

    class Watched(FakeCudaDevice):
        def synchronize(self) -> None:
            seen.append((folder / LOADING_NAME).exists())
            super().synchronize()

    machine.device = Watched
    chosen = machine.chosen()
    assert chosen.passed_over == ()
    assert seen == [True]
    assert not (folder / LOADING_NAME).exists()
    chosen.close()


def test_of_models_that_load_side_by_side_one_alone_is_marked_as_loading(tmp_path: Path) -> None:
    """Several marks at once would blame each of several engines for the process that one of them ends."""
    machines = [Machine(tmp_path / name) for name in ("scene", "face", "detector")]
    marks = [machine.keep_engine() / LOADING_NAME for machine in machines]
    together = threading.Barrier(len(machines))
    seen: list[int] = []

    class Watched(FakeCudaDevice):
        def synchronize(self) -> None:
            # Nobody comes when they load one after the other, and the barrier stays broken.
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(0.5)
            seen.append(sum(mark.exists() for mark in marks))
            super().synchronize()

    for machine in machines:
        machine.device = Watched
    with ThreadPoolExecutor() as pool:
        chosen = list(pool.map(Machine.chosen, machines))
    assert [one.passed_over for one in chosen] == [()] * 3
    assert seen == [1, 1, 1]
    for one in chosen:
        one.close()


def test_an_engine_that_does_not_run_does_not_keep_the_next_from_loading(tmp_path: Path) -> None:
    bad, good = Machine(tmp_path / "bad"), Machine(tmp_path / "good")
    for machine in (bad, good):
        machine.keep_engine()
    assert bad.trt is not None
    bad.trt.faults_["IExecutionContext.execute_async_v3"] = False
    with ThreadPoolExecutor() as pool:
        failed, chosen = pool.map(Machine.chosen, (bad, good), timeout=60)
    assert (failed.engine.provider, chosen.passed_over) == (CPU_PROVIDER, ())
    chosen.close()


def test_a_bundle_that_nothing_runs_is_an_error(machine: Machine) -> None:
    machine.model = mc_dropout_graph().SerializeToString()[:100]
    with pytest.raises(ModelError, match="face-stub"):
        machine.chosen()
