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


@dataclass(frozen=True, slots=True)
class Lowered:
    """A rewritten graph.

    Attributes:
        graph: for every engine.
        for_cpu: the same as a processor runs it faster; None where that is no other one.
    """

    graph: onnx.ModelProto
    for_cpu: onnx.ModelProto | None = None


def lowered(
    graph: onnx.ModelProto,
    way: str,
    calibration: Sequence[NDArray[np.uint8]],
    lowering: Lowering,
    announce: Callable[[str], None],
) -> Lowered:
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
        return Lowered(fp16_from_fp32(graph, calibration, environment))
    from .int8 import int8_from_fp32
    from .int8_for_cpu import int8_for_cpu

    int8 = int8_from_fp32(graph, calibration, "minmax" if way == "minmax" else "percentile")
    return Lowered(int8, int8_for_cpu(int8))
