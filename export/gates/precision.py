"""Whether fp16 or int8 still answers as fp32 does, on pictures that calibration did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from scipy.stats import spearmanr

from emomusic_edge.errors import ModelError

AXES = ("valence", "arousal")
Pair = tuple[float, float]

# FindingEmo units, mean absolute difference of `mean` over the pictures.
BOUNDS: dict[str, float] = {"fp16": 0.02, "int8": 0.10}
RANK_BOUND = 0.98
# With 12 pictures one exchange of neighbours costs 0.007 of rank correlation, so that 0.98 allows two; with 6 it costs
# 0.06, and a good graph would fail by chance.
LEAST_PICTURES = 12


@dataclass(frozen=True, slots=True)
class AxisFigures:
    """How far the answers of one axis are apart.

    Attributes:
        mean_abs_difference: over the pictures; FindingEmo units for means, their square for variances.
        max_abs_difference: likewise.
        rank_correlation: Spearman's, -1..1; 0 where either graph gives every picture the same answer.
    """

    mean_abs_difference: float
    max_abs_difference: float
    rank_correlation: float
