"""The driver is asked before anything else: what it says, and each way in which it says nothing."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from emomusic_edge.cuda_probe import LIBRARY, Gpu, probe_cuda


class FakeDriver:
    """libcuda of an Orin Nano; `fail` names calls that return an error."""

    def __init__(self, *, fail: str = "", count: int = 1, number: int = 999) -> None:
        self._fail, self._count, self._number = fail, count, number
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        calls = {
            "cuInit": lambda flags: None,
            "cuDeviceGetCount": lambda out: self._fill(out, self._count),
            "cuDeviceGetName": self._name,
            "cuDriverGetVersion": lambda out: self._fill(out, 12060),
            "cuDeviceGetAttribute": lambda out, number, _: self._fill(out, {16: 8, 75: 8, 76: 7}[number]),
        }
        work = calls[name]

        def called(*arguments: Any) -> int:
            self.asked.append(name)
            if name == self._fail:
                return self._number
            work(*arguments)
            return 0

        return called

    @staticmethod
    def _fill(out: Any, value: int) -> None:
        out._obj.value = value

    @staticmethod
    def _name(buffer: Any, size: int, device: int) -> None:
        assert size == ctypes.sizeof(buffer)
        buffer.value = b"Orin"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    path = tmp_path / "nv_tegra_release"
    path.write_text("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8\n")
    return path


def test_a_jetson_is_told_in_full(release: Path) -> None:
    opened: list[str] = []
    gpu = probe_cuda(lambda name: opened.append(name) or FakeDriver(), release)  # type: ignore[func-returns-value]
    assert gpu == Gpu(name="Orin", multiprocessors=8, compute_capability="8.7", cuda="12.6", l4t="36.4.3")
    assert opened == [LIBRARY]
    assert isinstance(gpu, Gpu)
    assert gpu.platform == "L4T 36.4.3, CUDA 12.6"
    assert gpu.device == "Orin, 8 multiprocessors"


def test_elsewhere_there_is_no_l4t(tmp_path: Path) -> None:
    gpu = probe_cuda(lambda name: FakeDriver(), tmp_path / "none")
    assert isinstance(gpu, Gpu)
    assert gpu.platform == "CUDA 12.6"


def test_no_driver(tmp_path: Path) -> None:
    def missing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    assert probe_cuda(missing, tmp_path) == f"no NVIDIA driver was found ({LIBRARY} is missing)"


@pytest.mark.parametrize(
    "call", ["cuInit", "cuDeviceGetCount", "cuDeviceGetName", "cuDriverGetVersion", "cuDeviceGetAttribute"]
)
def test_each_refusal_of_the_driver_is_a_reason(release: Path, call: str) -> None:
    reason = probe_cuda(lambda name: FakeDriver(fail=call), release)
    assert isinstance(reason, str)
    assert "999" in reason


def test_a_driver_without_a_gpu(release: Path) -> None:
    driver = FakeDriver(count=0)
    assert "no GPU to offer" in str(probe_cuda(lambda name: driver, release))
    assert driver.asked == ["cuInit", "cuDeviceGetCount"]


def test_this_machine_answers_without_a_crash() -> None:
    assert isinstance(probe_cuda(), (Gpu, str))
