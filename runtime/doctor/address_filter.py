"""Whether the kernel can keep the service from the network (IPAddressDeny= of its unit): it needs BPF for cgroups."""

from __future__ import annotations

import gzip
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from .finding import About, Finding
from .setup import Setup
from .system import Told, text_of, told_by

# systemd's own change log: IPAddressAllow= and IPAddressDeny= came with 235.
_FIRST_SYSTEMD = 235
_OPTIONS = ("CONFIG_BPF_SYSCALL", "CONFIG_CGROUP_BPF")
_MEANING = "The unit's IPAddressDeny has no effect: only this program's own settings keep it from the network."
# systemd.resource-control(5): with the second version of control groups DeviceAllow= is a BPF program as well.
_DEVICES_TOO = (
    " Nor has its list of devices (DevicePolicy, DeviceAllow): the modes of the device files and the service's groups"
    " alone decide what it may open."
)
_MEND = "Take the drop-in private-network.conf with a broker on this machine: it needs no BPF (docs/service.md)"

_about = About("filter")


def look(
    setup: Setup, *, told: Told = told_by, root: Path = Path("/"), release: str | None = None
) -> Iterator[Finding]:
    """What systemd, the kernel and its control groups offer.

    Args:
        setup: not asked.
        told: what a command prints.
        root: where `proc`, `boot`, `run` and `sys` lie.
        release: of the kernel; None for the running one.
    """
    if not (root / "run/systemd/system").is_dir():
        yield _about.ok("bpf", "without systemd there is no service to filter")
        return
    version = re.search(r"systemd (\d+)", told(["systemctl", "--version"]) or "")
    if version is not None and int(version[1]) < _FIRST_SYSTEMD:
        yield _about.warning("bpf", f"systemd {version[1]} knows no address filter", meaning=_MEANING, mend=_MEND)
        return
    options = _kernel_options(root, release or platform.release())
    lacking = [] if options is None else [name for name in _OPTIONS if options.get(name) != "y"]
    if lacking:
        yield _about.warning(
            "bpf",
            f"the kernel was built without {' and '.join(lacking)}",
            meaning=_MEANING + (_DEVICES_TOO if _has_unified_groups_alone(root) else ""),
            mend=_MEND,
            lacking=lacking,
            device_list=not _has_unified_groups_alone(root),
        )
    elif not _has_unified_groups(root):
        yield _about.warning(
            "bpf",
            "the second version of control groups is not mounted",
            meaning=_MEANING,
            mend="Add systemd.unified_cgroup_hierarchy=1 to the kernel's command line and start anew",
        )
    elif options is None:
        yield _about.warning(
            "bpf",
            "the kernel's configuration is not here to be read",
            meaning="Whether the unit's IPAddressDeny has an effect is not known.",
            mend="`sudo journalctl -b -u emomusic-edge | grep -i bpf` tells it once the service was started",
        )
    else:
        yield _about.ok("bpf", "the kernel has BPF for control groups, as IPAddressDeny needs it", lacking=[])


def _kernel_options(root: Path, release: str) -> dict[str, str] | None:
    """The kernel's configuration, where one of the usual places has it."""
    text: str | None
    try:
        text = gzip.decompress((root / "proc/config.gz").read_bytes()).decode("ascii", "replace")
    except (OSError, EOFError, ValueError):
        places = (root / f"boot/config-{release}", root / f"lib/modules/{release}/config")
        text = next((found for place in places if (found := text_of(place)) is not None), None)
    if text is None:
        return None
    return dict(line.split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_") and "=" in line)


def _has_unified_groups_alone(root: Path) -> bool:
    return (root / "sys/fs/cgroup/cgroup.controllers").exists()


def _has_unified_groups(root: Path) -> bool:
    """Alone (the usual today), or beside the first version."""
    beside = root / "sys/fs/cgroup/unified/cgroup.controllers"
    return _has_unified_groups_alone(root) or beside.exists()
