"""How far an engine's or a lowered graph's answers may lie from those of its source, by precision.

In FindingEmo units, over the samples of all pictures. fp32 allows for TF32, whose products carry 10 bits; a trained
model's own standard deviation over T is some ten times the loosest of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ParityBound:
    """The statistic of the absolute differences that is held, and what it may come to."""

    statistic: Literal["max", "mean"]
    limit: float

    def of(self, differences: NDArray[np.floating]) -> float:
        """The statistic of some differences; not finite when one of them is not."""
        sizes = np.abs(differences)
        return float(sizes.max() if self.statistic == "max" else sizes.mean())

    def holds(self, differences: NDArray[np.floating]) -> bool:
        """Whether they are within the limit; False when one of them is not finite."""
        return self.of(differences) <= self.limit

    def __str__(self) -> str:
        """As a message tells it."""
        return f"{self.limit:g} {self.statistic} abs"


PARITY_BOUNDS = {
    "fp32": ParityBound("max", 0.02),
    "fp16": ParityBound("mean", 0.02),
    "int8": ParityBound("mean", 0.10),
}
