from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from reports import report
from rich.console import Console
from stub_models import write_mc_dropout_bundle

from emomusic_edge.cuda_probe import Gpu
from emomusic_edge.engine_store import EngineStore
from emomusic_edge.errors import ConfigError, ModelError
from emomusic_edge.runtime.app import engine_makers
from emomusic_edge.runtime.bench.cases import Wanted, load_cases
from emomusic_edge.runtime.bench.jetson import JetsonWatch
from emomusic_edge.runtime.bench.machine import read_machine, resident_mb
from emomusic_edge.runtime.bench.measure import Timings
from emomusic_edge.runtime.bench.report import case_results
from emomusic_edge.runtime.bench.tables import report_view
from emomusic_edge.runtime.engines.choose import EngineMakers


def makers(gpu: str = "no NVIDIA driver here") -> EngineMakers:
    real = engine_makers(1)
    return EngineMakers(lambda: gpu, real.import_tensorrt, real.tensorrt, real.onnx_runtime)


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    write_mc_dropout_bundle(tmp_path / "face-stub")
    return tmp_path / "face-stub"


def test_each_t_is_a_case_on_the_engine_that_is_here(stub: Path, tmp_path: Path) -> None:
    loaded = load_cases([Wanted(stub, (20, 5, 20))], makers(), EngineStore(tmp_path / "engines"))
    assert [case.case.samples for case in loaded.cases] == [5, 20]
    assert {case.case.provider for case in loaded.cases} == {"CPUExecutionProvider"}
    assert loaded.absent == ("TensorRT and CUDA: no NVIDIA driver here",)
    for case in loaded.cases:
        outputs: Any = case.run()
        assert outputs["samples"].shape == (case.case.samples, 2)
    loaded.close()


def test_without_a_t_the_default_is_taken_and_the_same_again_is_measured_once(stub: Path, tmp_path: Path) -> None:
    twice = [Wanted(stub, (), ("cpu",)), Wanted(stub, (64,), ("cpu",))]
    loaded = load_cases(twice, makers(), EngineStore(tmp_path / "engines"))
    assert [case.case.samples for case in loaded.cases] == [64]
    assert loaded.absent == ()


@pytest.mark.parametrize("threads", [1, 3])
def test_the_threads_of_an_inference_are_counted(threads: int, stub: Path, tmp_path: Path) -> None:
    loaded = load_cases([Wanted(stub, (5,), ("cpu",))], engine_makers(threads), EngineStore(tmp_path / "engines"))
    assert [case.threads for case in loaded.cases] == [threads]
    # one provider alone can run it
    assert loaded.cases[0].nodes is None


def cuda_by_name() -> EngineMakers:
    """Sessions for CUDA that ONNX Runtime opens for the CPU, under CUDA's name."""
    real = engine_makers(1)

    def make(model: Any, name: str, providers: Any) -> Any:
        engine = real.onnx_runtime(model, name, ["CPUExecutionProvider"])
        if providers[0] == "CUDAExecutionProvider":
            return Named(engine)
        return engine

    class Named:
        provider = "CUDAExecutionProvider"

        def __init__(self, engine: Any) -> None:
            self.run = engine.run

    return EngineMakers(lambda: Gpu("Orin", 8, "8.7", "12.6", None), real.import_tensorrt, real.tensorrt, make)


def test_where_the_nodes_of_a_cuda_session_run_is_told_in_the_file_and_the_table(stub: Path, tmp_path: Path) -> None:
    wanted = [Wanted(stub, (5, 20), ("cuda",))]
    loaded = load_cases(wanted, cuda_by_name(), EngineStore(tmp_path / "engines"), lambda: None)
    assert loaded.absent == ()
    # this build has the CPU's kernels alone: the profile sees through the name
    (nodes,) = {tuple((case.nodes or {}).items()) for case in loaded.cases}
    assert [provider for provider, _ in nodes] == ["CPUExecutionProvider"]
    timings = Timings((((1.0,),), ((1.0,),)), (1.0,), 1.0)
    told = report(*case_results(loaded.cases, timings))
    assert told.cases[0].nodes == dict(nodes)
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(report_view(told))
    assert "CUDA fp32, 100% of nodes elsewhere" in console.export_text()


def test_nodes_that_cannot_be_counted_are_told_and_the_case_is_measured(stub: Path, tmp_path: Path) -> None:
    def fails(*_: Any) -> dict[str, int]:
        raise ModelError("no profile")

    wanted = [Wanted(stub, (5,), ("cuda",))]
    loaded = load_cases(wanted, cuda_by_name(), EngineStore(tmp_path / "engines"), lambda: None, fails)
    assert [case.nodes for case in loaded.cases] == [None]
    assert loaded.absent == ("face-stub: which nodes run on which provider: no profile",)


def test_where_nothing_that_was_asked_for_runs_it_is_told(stub: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Nothing to measure: TensorRT and CUDA: no NVIDIA driver here\."):
        load_cases([Wanted(stub, (5,), ("cuda",))], makers(), EngineStore(tmp_path / "engines"))


def test_a_bundle_that_was_altered_is_refused(stub: Path, tmp_path: Path) -> None:
    (stub / "model.onnx").write_bytes(b"another")
    with pytest.raises(ModelError, match="sha256"):
        load_cases([Wanted(stub, (5,))], makers(), EngineStore(tmp_path / "engines"))


# The machine


def test_the_facts_of_a_machine_are_read_where_they_are(tmp_path: Path) -> None:
    files = {
        "proc/cpuinfo": "processor\t: 0\nmodel name\t: A fast one\n",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n",
        "usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "12.6.11"}, "nvcc": {"version": "1"}}',
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano\0",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    machine = read_machine(tmp_path)
    assert (machine.cpu, machine.board, machine.governor) == ("A fast one", "NVIDIA Jetson Orin Nano", "schedutil")
    assert machine.packages["numpy"]
    assert (machine.packages["L4T"], machine.packages["CUDA"]) == ("36.4.3", "12.6.11")


def test_facts_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    machine = read_machine(tmp_path)
    assert machine.cpu
    assert machine.board is None
    assert machine.governor is None


def test_resident_memory_is_that_of_a_python_process() -> None:
    assert 5 < resident_mb() < 100_000


class FakeJtop:
    """What jetson-stats 4 tells."""

    nvpmodel = "15W"
    board: ClassVar = {"hardware": {"Jetpack": "6.1", "L4T": "36.4.0"}, "libraries": {"CUDA": "12.6.68", "VPI": ""}}

    def __init__(self, powers_mw: Iterator[int]) -> None:
        self._powers_mw = powers_mw
        self.closed = False

    @property
    def power(self) -> dict[str, Any]:
        return {"rail": {}, "tot": {"power": next(self._powers_mw)}}

    @property
    def temperature(self) -> dict[str, Any]:
        return {"cpu": {"temp": 48.5, "online": True}, "gpu": {"temp": 51.0}, "gone": {"temp": -256, "online": False}}

    @property
    def gpu(self) -> dict[str, Any]:
        return {"gpu": {"freq": {"cur": 612_000}}}

    @property
    def cpu(self) -> dict[str, Any]:
        return {"cpu": [{"freq": {"cur": 1_500_000}}, {"freq": {"cur": 1_300_000}}, {"online": False}]}

    def close(self) -> None:
        self.closed = True


def test_a_jetson_tells_power_clocks_and_temperature() -> None:
    jtop = FakeJtop(iter([7000, 9000]))
    watch = JetsonWatch(lambda: jtop)
    watch.read(0)
    watch.read("clip")
    watch.close()
    told = watch.figures(0, "clip")
    assert told is not None
    assert told.power_w == pytest.approx(8.0)
    assert (told.hottest_c, told.gpu_mhz, told.cpu_mhz, told.power_model) == (51.0, 612.0, 1400.0, "15W")
    assert told.readings == 2
    each = [watch.figures(of) for of in (0, "clip")]
    assert [one.power_w for one in each if one is not None] == pytest.approx([7.0, 9.0])
    assert watch.figures(1) is None
    assert watch.versions == {"JetPack": "6.1", "L4T": "36.4.0", "CUDA": "12.6.68"}
    assert watch.absent == ""
    assert jtop.closed


def _raising(error: Exception) -> Callable[[], Any]:
    def connect() -> Any:
        raise error

    return connect


@pytest.mark.parametrize(
    ("connect", "says"),
    [
        (_raising(ImportError("jtop")), "no jetson-stats here"),
        (_raising(RuntimeError("the service is down")), r"jtop does not answer \(the service is down\)"),
    ],
)
def test_where_there_is_no_jetson_it_is_told(connect: Callable[[], Any], says: str) -> None:
    watch = JetsonWatch(connect)
    watch.read(0)
    watch.close()
    assert watch.figures(0) is None
    assert re.search(says, watch.absent)


def test_an_answer_that_is_not_understood_is_told() -> None:
    watch = JetsonWatch(lambda: FakeJtop(iter([])))
    watch.read(0)
    watch.close()
    assert watch.figures(0) is None
    assert "was not understood" in watch.absent
