"""Asks the NVIDIA driver for its GPU, before anything else may: without a driver TensorRT's runtime ends the process.

Read from libcuda alone, through ctypes: no CUDA toolkit, no pycuda and no TensorRT is imported for the answer.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIBRARY = "libcuda.so.1"
TEGRA_RELEASE = Path("/etc/nv_tegra_release")

_SUCCESS = 0
# CUdevice_attribute in cuda.h
_MULTIPROCESSOR_COUNT = 16
_COMPUTE_CAPABILITY_MAJOR = 75
_COMPUTE_CAPABILITY_MINOR = 76
_NAME_BYTES = 100


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first GPU, as far as an engine is bound to it.

    Attributes:
        name: as the driver has it, e.g. `Orin`.
        multiprocessors: how many; boards that share name and compute capability differ in it.
        compute_capability: e.g. `8.7`.
        cuda: the version that the driver supports, e.g. `12.6`.
        l4t: the release of a Jetson's system, e.g. `36.4.3`; None elsewhere.
    """

    name: str
    multiprocessors: int
    compute_capability: str
    cuda: str
    l4t: str | None

    @property
    def device(self) -> str:
        """Which GPU it is, for a key and for people."""
        return f"{self.name}, {self.multiprocessors} multiprocessors"

    @property
    def platform(self) -> str:
        """The system around it, for a key and for people."""
        return f"L4T {self.l4t}, CUDA {self.cuda}" if self.l4t else f"CUDA {self.cuda}"


def probe_cuda(load: Callable[[str], Any] = ctypes.CDLL, tegra_release: Path = TEGRA_RELEASE) -> Gpu | str:
    """The first GPU, or one line that says why there is none.

    Args:
        load: opens a shared library; raises OSError when it is missing.
        tegra_release: the file in which a Jetson names its L4T release.
    """
    try:
        driver = load(LIBRARY)
    except OSError:
        return f"no NVIDIA driver was found ({LIBRARY} is missing)"
    status = driver.cuInit(0)
    if status != _SUCCESS:
        return f"the NVIDIA driver does not start (cuInit gives error {status})"
    count = ctypes.c_int(0)
    status = driver.cuDeviceGetCount(ctypes.byref(count))
    if status != _SUCCESS or count.value < 1:
        return f"the NVIDIA driver has no GPU to offer ({count.value} found, error {status})"
    try:
        name = ctypes.create_string_buffer(_NAME_BYTES)
        _check(driver.cuDeviceGetName(name, _NAME_BYTES, 0), "cuDeviceGetName")
        version = ctypes.c_int(0)
        _check(driver.cuDriverGetVersion(ctypes.byref(version)), "cuDriverGetVersion")
        major, minor, multiprocessors = (
            _attribute(driver, number)
            for number in (_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR, _MULTIPROCESSOR_COUNT)
        )
    except _DriverError as error:
        return str(error)
    return Gpu(
        name=name.value.decode(errors="replace"),
        multiprocessors=multiprocessors,
        compute_capability=f"{major}.{minor}",
        # cuda.h: 1000 * major + 10 * minor
        cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
        l4t=_l4t(tegra_release),
    )


class _DriverError(Exception):
    pass


def _check(status: int, call: str) -> None:
    if status != _SUCCESS:
        raise _DriverError(f"the NVIDIA driver does not answer ({call} gives error {status})")


def _attribute(driver: Any, number: int) -> int:
    value = ctypes.c_int(0)
    _check(driver.cuDeviceGetAttribute(ctypes.byref(value), number, 0), f"cuDeviceGetAttribute {number}")
    return value.value


def _l4t(tegra_release: Path) -> str | None:
    """Of `# R36 (release), REVISION: 4.3, GCID: …` the `36.4.3`."""
    try:
        text = tegra_release.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{found[1]}.{found[2]}" if found else None
