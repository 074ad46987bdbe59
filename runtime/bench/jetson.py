"""Power, temperature and clocks of a Jetson, through jetson-stats' `jtop`; elsewhere it says why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict


class JetsonFigures(BaseModel):
    """Means over some readings; what the board does not tell is None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    readings: int
    power_w: float | None
    hottest_c: float | None
    gpu_mhz: float | None
    cpu_mhz: float | None
    power_model: str | None


def open_jtop() -> Any:
    """A started jtop client.

    Raises:
        ImportError: jetson-stats is not installed.
        Exception: its service does not answer (jtop has errors of its own).
    """
    from jtop import jtop

    client = jtop()
    client.start()
    return client


class JetsonWatch:
    """Reads jtop when it is told to; of no effect where there is none.

    Attributes:
        absent: why there are no figures; empty where there are.
        versions: what jtop tells of the board's software: JetPack, L4T, CUDA.
    """

    def __init__(self, connect: Callable[[], Any] = open_jtop) -> None:
        self.absent = ""
        self._client: Any = None
        self.versions: dict[str, str] = {}
        self._readings: dict[int | str, list[dict[str, float | None]]] = {}
        self._power_model: str | None = None
        try:
            self._client = connect()
            self._power_model = str(getattr(self._client, "nvpmodel", "") or "") or None
            self.versions = _versions(self._client)
        except ImportError:
            self.absent = "power, clocks and temperature: no jetson-stats here"
        except Exception as error:  # noqa: BLE001 (no board, no service, no right: jtop raises anything)
            self.absent = f"power, clocks and temperature: jtop does not answer ({error})"

    def read(self, of: int | str) -> None:
        """Take one reading; one that fails is left out.

        Args:
            of: the place of the case that just had its turn, or a name.
        """
        if self._client is None:
            return
        try:
            self._readings.setdefault(of, []).append(_reading(self._client))
        except Exception as error:  # noqa: BLE001 (another jetson-stats may name things otherwise)
            self.absent = f"power, clocks and temperature: jtop's answer was not understood ({error})"

    def figures(self, *of: int | str) -> JetsonFigures | None:
        """The means over the readings of these; None where there are none."""
        readings = [reading for one in of for reading in self._readings.get(one, ())]
        if not readings:
            return None
        means = {name: _mean([reading[name] for reading in readings]) for name in readings[0]}
        return JetsonFigures(readings=len(readings), power_model=self._power_model, **means)

    def close(self) -> None:
        """Disconnect; the figures stay."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _reading(client: Any) -> dict[str, float | None]:
    """One reading, after jetson-stats 4: power in mW, clocks in kHz, temperature in degrees Celsius."""
    temperatures = [sensor["temp"] for sensor in client.temperature.values() if sensor.get("online", True)]
    return {
        "power_w": _scaled(client.power.get("tot", {}).get("power"), 1e-3),
        "hottest_c": max(temperatures, default=None),
        "gpu_mhz": _scaled(_mean([gpu.get("freq", {}).get("cur") for gpu in client.gpu.values()]), 1e-3),
        "cpu_mhz": _scaled(_mean([core.get("freq", {}).get("cur") for core in client.cpu.get("cpu", [])]), 1e-3),
    }


def _versions(client: Any) -> dict[str, str]:
    """After jetson-stats 4: `board` has `hardware` (with Jetpack and L4T) and `libraries` (with CUDA)."""
    board = getattr(client, "board", None) or {}
    told = {**board.get("hardware", {}), **board.get("libraries", {})}
    named = {"JetPack": "Jetpack", "L4T": "L4T", "CUDA": "CUDA"}
    return {name: str(told[key]) for name, key in named.items() if told.get(key)}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
