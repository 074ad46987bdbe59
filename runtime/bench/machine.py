"""What a figure must be read with: processor, governor, load, versions. Facts that cannot be read are None."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_PACKAGES = ("emomusic-edge", "numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless", "tensorrt")
_CUDA_TOOLKIT = "usr/local/cuda/version.json"
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


class Machine(BaseModel):
    """The machine and what is installed on it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpu: str
    board: str | None
    cores: int
    cores_allowed: int
    governor: str | None
    load_before: tuple[float, float, float]
    system: str
    python: str
    packages: dict[str, str]


def read_machine(root: Path = Path("/")) -> Machine:
    """This machine, now: to be called before the measuring makes a load of its own.

    Args:
        root: where `proc` and `sys` lie.
    """
    return Machine(
        cpu=_cpu(_text(root / "proc/cpuinfo") or ""),
        board=(_text(root / "proc/device-tree/model") or "").strip("\0\n ") or None,
        cores=os.cpu_count() or 1,
        cores_allowed=len(os.sched_getaffinity(0)),
        governor=(_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "").strip() or None,
        load_before=os.getloadavg(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        packages={
            **{name: version for name in _PACKAGES if (version := _version(name))},
            **_system_versions(root),
        },
    )


def resident_mb() -> float:
    """The memory of this process that lies in RAM, in MiB.

    Raises:
        OSError: there is no /proc.
    """
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_MB


def _system_versions(root: Path) -> dict[str, str]:
    """L4T and the CUDA toolkit, by the files that NVIDIA's packages bring; none elsewhere."""
    found = {}
    release = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", _text(root / "etc/nv_tegra_release") or "")
    if release:
        found["L4T"] = f"{release[1]}.{release[2]}"
    toolkit = re.search(r'"cuda"\s*:\s*{[^}]*"version"\s*:\s*"([\d.]+)"', _text(root / _CUDA_TOOLKIT) or "")
    if toolkit:
        found["CUDA"] = toolkit[1]
    return found


def native_threads() -> int:
    """Threads of this process, those of libraries too: an engine's pool shows as so many more.

    Raises:
        OSError: there is no /proc.
    """
    return len(list(Path("/proc/self/task").iterdir()))


def _cpu(cpuinfo: str) -> str:
    found = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", cpuinfo, flags=re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
