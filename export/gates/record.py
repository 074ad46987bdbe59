"""A gate's figures become its record; what is not a number never passes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.manifest import GateRecord


def gate_record(name: str, told: str, figures: Mapping[str, float], *, passed: bool) -> GateRecord:
    """The record of a gate that was run.

    Args:
        name: of the gate.
        told: one line: what was held to which bound.
        figures: measured; one that is not finite fails the gate, whatever `passed` says, and is kept as null.
        passed: whether the bounds hold.
    """
    strange = [key for key, value in figures.items() if not math.isfinite(value)]
    if strange:
        told = f"not a number in {', '.join(strange)}: {told}"
    return GateRecord(
        name=name,
        state="passed" if passed and not strange else "failed",
        told=told,
        figures={key: float(value) if math.isfinite(value) else None for key, value in figures.items()},
    )


def largest(values: NDArray[np.floating]) -> float:
    """The largest absolute value; NaN where one is NaN, which Python's max() would pass over."""
    return float(np.abs(np.asarray(values, np.float64)).max())
