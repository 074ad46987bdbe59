"""What a program that was tuned for one kind of processor is bound to."""

from __future__ import annotations

import platform
from pathlib import Path

# Lines of /proc/cpuinfo that tell one kind of core from another, on x86 and on ARM.
_TELLING = frozenset(
    {
        "vendor_id",
        "cpu family",
        "model",
        "model name",
        "stepping",
        "flags",
        "CPU implementer",
        "CPU architecture",
        "CPU variant",
        "CPU part",
        "CPU revision",
        "Features",
    }
)


def cpu_identity(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The machine's architecture and all kinds of its cores with their instructions; empty when nothing tells them.

    Args:
        cpuinfo: see proc(5).
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    told = sorted({f"{key.strip()}={value.strip()}" for key, _, value in pairs if key.strip() in _TELLING})
    return "; ".join([platform.machine(), *told]) if told else ""
