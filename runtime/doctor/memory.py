"""Whether there is memory enough, and where what does not fit goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .finding import About, Finding
from .setup import Setup
from .system import text_of

# docs/performance.md: the running service takes 286 MB with int8 models; 350 MB is its bound.
_RUN_MB = 350

_about = About("memory")


def look(setup: Setup, root: Path = Path("/")) -> Iterator[Finding]:
    """Free memory, and swap.

    Args:
        setup: not asked.
        root: where `proc` and `etc` lie.
    """
    told = text_of(root / "proc/meminfo") or ""
    total_mb, free_mb = _mb(told, "MemTotal"), _mb(told, "MemAvailable")
    if total_mb is None or free_mb is None:
        yield _about.warning(
            "ram", "how much memory is free cannot be read", meaning=f"A run takes up to {_RUN_MB} MB."
        )
    elif free_mb < _RUN_MB:
        yield _about.warning(
            "ram",
            f"{free_mb} MB of {total_mb} MB of memory are free",
            meaning=f"A run takes up to {_RUN_MB} MB with the starter models, larger models more.",
            mend="Close what else takes memory; `ps aux --sort=-rss | head` tells what does",
            total_mb=total_mb,
            free_mb=free_mb,
        )
    else:
        yield _about.ok("ram", f"{free_mb} MB of {total_mb} MB of memory are free", total_mb=total_mb, free_mb=free_mb)
    yield _swap(root)


def _swap(root: Path) -> Finding:
    places = [line.split() for line in (text_of(root / "proc/swaps") or "").splitlines()[1:] if line.strip()]
    names = [place[0] for place in places]
    on_disk = [name for name in names if not Path(name).name.startswith("zram")]
    total_mb = sum(int(place[2]) for place in places) // 1024
    if on_disk:
        return _about.ok(
            "swap",
            f"{total_mb} MB of swap, of which on a disk: {', '.join(on_disk)}",
            meaning="The service keeps out of it (MemorySwapMax=0); a run from a terminal does not.",
            total_mb=total_mb,
            on_disk=on_disk,
        )
    if names:
        return _about.ok(
            "swap",
            f"{total_mb} MB of swap in compressed memory (zram), none on a disk",
            total_mb=total_mb,
            on_disk=on_disk,
        )
    if (root / "etc/nv_tegra_release").exists():
        return _about.warning(
            "swap",
            "no swap",
            meaning="Building a TensorRT engine of a large model may run out of memory. A run itself needs no swap.",
            mend="sudo systemctl enable --now nvzramconfig",
            total_mb=0,
            on_disk=on_disk,
        )
    return _about.ok("swap", "no swap, and none is needed", total_mb=0, on_disk=on_disk)


def _mb(meminfo: str, name: str) -> int | None:
    found = re.search(rf"^{name}:\s+(\d+) kB$", meminfo, flags=re.MULTILINE)
    return int(found[1]) // 1024 if found else None
