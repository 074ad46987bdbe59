"""fp32 to fp16 or int8: which rewriting a precision needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

Precision = Literal["fp32", "fp16", "int8"]

# Ways to rewrite, the likelier one to hold first. Ranges cut at a percentile lose the outliers that some trained towers
# carry their meaning in; there the full range is better.
WAYS: dict[Precision, tuple[str, ...]] = {"fp32": (), "fp16": ("AutoCast",), "int8": ("percentile", "minmax")}


@dataclass(frozen=True, slots=True)
class Lowering:
    """Where the tools are.

    Attributes:
        cache_dir: nvidia-modelopt's environment is made there, once.
        modelopt_python: the interpreter of an environment that has it; None makes one.
    """

    cache_dir: Path
    modelopt_python: Path | None = None


def lowered(
    graph: onnx.ModelProto,
    way: str,
    calibration: Sequence[NDArray[np.uint8]],
    lowering: Lowering,
    announce: Callable[[str], None],
) -> onnx.ModelProto:
    """Rewrite a graph.

    Args:
        graph: fp32; it is left as it is.
        way: one of WAYS.
        calibration: real pictures as the model gets them, uint8 [1, H, W, 3].
        lowering: where the tools are.
        announce: told one line before anything that takes time.

    Raises:
        ModelError: a tool failed.
        MissingExtraError: a package is missing.
    """
    if way == "AutoCast":
        from .fp16 import fp16_from_fp32
        from .modelopt_env import modelopt_environment

        environment = modelopt_environment(lowering.cache_dir, announce, python=lowering.modelopt_python)
        return fp16_from_fp32(graph, calibration, environment)
    from .int8 import int8_from_fp32

    return int8_from_fp32(graph, calibration, "minmax" if way == "minmax" else "percentile")
