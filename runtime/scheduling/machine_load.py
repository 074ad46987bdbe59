"""Reads how busy this process and its helpers are, and how hot the machine is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_THERMAL = Path("/sys/class/thermal")
# What no working sensor of a running machine says: unused inputs give 0, -40, 127 or 255.
_COLDEST_C, _HOTTEST_C = 1.0, 125.0
# On Jetsons with this zone it says 100 degrees whatever the heat: a trip point of the power chip, and no measurement.
_NO_MEASUREMENT = {"PMIC-Die"}


class MachineLoad:
    """A scheduling.Machine for Linux.

    Args:
        thermal: the kernel's folder of temperature sensors.
        helper_cpu_s: CPU seconds that processes of this one's own have used so far: one reads the camera.
    """

    def __init__(self, thermal: Path = _THERMAL, *, helper_cpu_s: Callable[[], float] = lambda: 0.0) -> None:
        # Those that may be used: a service that is bound to two of six can never use more.
        self._cores = len(os.sched_getaffinity(0))
        self._helper_cpu_s = helper_cpu_s
        zones = (zone for zone in sorted(thermal.glob("thermal_zone*")) if _kind(zone) not in _NO_MEASUREMENT)
        self._sensors = [zone / "temp" for zone in zones]

    def cpu_s(self) -> float:
        """See Machine.cpu_s."""
        return (time.process_time() + self._helper_cpu_s()) / self._cores

    def temperature_c(self) -> float | None:
        """See Machine.temperature_c. A sensor that does not answer (a part without power) or says nonsense counts not.

        The kernel gives millidegrees (Documentation/ABI/testing/sysfs-class-thermal).
        """
        told = [value for sensor in self._sensors if (value := _read_c(sensor)) is not None]
        return max(told, default=None)


def _read_c(sensor: Path) -> float | None:
    try:
        value_c = int(sensor.read_text(encoding="ascii")) / 1000.0
    except (OSError, ValueError):
        return None
    return value_c if _COLDEST_C <= value_c <= _HOTTEST_C else None


def _kind(zone: Path) -> str:
    """What a zone measures; empty when it does not say."""
    try:
        return (zone / "type").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
