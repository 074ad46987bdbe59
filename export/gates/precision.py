"""Whether fp16 or int8 still answers as fp32 does, on pictures that calibration did not see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from scipy.stats import spearmanr

from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import GateRecord

from .record import gate_record

Precision = Literal["fp16", "int8"]
AXES = ("valence", "arousal")

# Mean absolute difference of `mean` over the pictures, FindingEmo units, each axis.
BOUNDS: dict[Precision, float] = {"fp16": 0.02, "int8": 0.10}
LEAST_RANK_CORRELATION = 0.98
# Two neighbours that change places cost 12 / (n^3 - n) of rank correlation: 0.007 with 12 pictures, 0.057 with 6, where
# a good graph would fail by chance.
LEAST_PICTURES = 12


@dataclass(frozen=True, slots=True)
class AxisFigures:
    """How far two graphs' answers are apart on one axis.

    Attributes:
        mean_abs: mean absolute difference over the pictures.
        max_abs: the largest.
        rank_correlation: Spearman's, -1..1; 0 where a graph gives every picture the same answer.
        rank_correlation_as_taken: the same over the pictures in the light they were taken in.
    """

    mean_abs: float
    max_abs: float
    rank_correlation: float
    rank_correlation_as_taken: float


@dataclass(frozen=True, slots=True)
class PrecisionFigures:
    """What holding a graph of lower precision against fp32 gave.

    Attributes:
        precision: of the candidate.
        pictures: how many there were.
        mean: figures of the output `mean` by axis, FindingEmo units.
        variance: of the output `variance`, their square; its ranks are for information.
    """

    precision: Precision
    pictures: int
    mean: dict[str, AxisFigures]
    variance: dict[str, AxisFigures]

    def failures(self) -> tuple[str, ...]:
        """Each bound that was missed, as a sentence; empty when all hold."""
        return tuple(self._missed())

    def _missed(self) -> Iterator[str]:
        bound = BOUNDS[self.precision]
        for axis, figures in self.mean.items():
            # Not `>`: what is not a number passes no bound.
            if not figures.mean_abs <= bound:
                yield (
                    f"{self.precision} differs from fp32 by {figures.mean_abs:.3f} in {axis} (mean absolute difference "
                    f"over {self.pictures} pictures); at most {bound:.2f} is allowed"
                )
            ranks = min(figures.rank_correlation, figures.rank_correlation_as_taken)
            if not ranks >= LEAST_RANK_CORRELATION:
                yield (
                    f"{self.precision} orders the {self.pictures} pictures otherwise than fp32 in {axis}: rank "
                    f"correlation {figures.rank_correlation:.3f}, in their own light "
                    f"{figures.rank_correlation_as_taken:.3f}; at least {LEAST_RANK_CORRELATION} is asked for"
                )
        for axis, figures in self.variance.items():
            if not figures.mean_abs <= bound:
                yield (
                    f"{self.precision} changes the variance of {axis} by {figures.mean_abs:.3f} (mean absolute "
                    f"difference over {self.pictures} pictures); at most {bound:.2f} is allowed"
                )


def measure_precision(
    fp32: bytes,
    candidate: bytes,
    images: Sequence[NDArray[np.uint8]],
    masks: NDArray[np.float32],
    precision: Precision,
    lights: int = 1,
) -> PrecisionFigures:
    """Run both graphs on ONNX Runtime's CPU kernels and compare.

    Args:
        fp32: the content of the exported model.onnx.
        candidate: the content of the rewritten one.
        images: at least LEAST_PICTURES, uint8 [1, H, W, 3], of files that calibration did not see, and as different
            from each other as can be: pictures with the same answer only add noise to the ranks.
        masks: float32 [T, K], the same for both; T as it is to be used.
        precision: of the candidate; tells which bound holds.
        lights: each picture stands so many times in a row, first in the light it was taken in.

    Raises:
        ModelError: there are too few pictures, or a graph does not run.
    """
    if len(images) < LEAST_PICTURES:
        raise ModelError(
            f"{len(images)} pictures are too few to hold {precision} against fp32 by; rank correlation needs "
            f"{LEAST_PICTURES} at least.",
            mend="give more pictures, or a folder that has them",
        )
    expected, found = (
        _answers(content, images, masks, name) for content, name in ((fp32, "fp32"), (candidate, precision))
    )
    return PrecisionFigures(
        precision=precision,
        pictures=len(images),
        mean=_by_axis(expected[0], found[0], lights),
        variance=_by_axis(expected[1], found[1], lights),
    )


def precision_gate(
    fp32: bytes,
    candidate: bytes,
    precision: Precision,
    images: Sequence[NDArray[np.uint8]],
    masks: NDArray[np.float32],
    lights: int = 1,
) -> GateRecord:
    """The same as a gate's record, with every figure in it."""
    found = measure_precision(fp32, candidate, images, masks, precision, lights)
    failures = found.failures()
    figures = {
        f"{output}_{axis}_{name}": getattr(axis_figures, name)
        for output, axes in (("mean", found.mean), ("variance", found.variance))
        for axis, axis_figures in axes.items()
        for name in ("mean_abs", "max_abs", "rank_correlation", "rank_correlation_as_taken")
    }
    told = ", ".join(
        f"{axis} {axis_figures.mean_abs:.4f} mean abs, rank correlation {axis_figures.rank_correlation:.3f}"
        for axis, axis_figures in found.mean.items()
    )
    return gate_record(
        "precision",
        "; ".join(failures)
        or f"{precision} against fp32 on {found.pictures} pictures: {told} (bounds {BOUNDS[precision]:g}, "
        f"{LEAST_RANK_CORRELATION:g})",
        figures,
        passed=not failures,
    )


def _answers(
    content: bytes, images: Sequence[NDArray[np.uint8]], masks: NDArray[np.float32], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means and variances, float64 [N, 2] each."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        answers = [session.run(["mean", "variance"], {"image": image, "masks": masks}) for image in images]
    except Exception as cause:
        raise ModelError(f"The {name} graph does not run on ONNX Runtime {ort.__version__}: {cause}") from cause
    means, variances = (np.array([answer[place] for answer in answers], np.float64) for place in (0, 1))
    return means, variances


def _by_axis(expected: NDArray[np.float64], found: NDArray[np.float64], lights: int) -> dict[str, AxisFigures]:
    figures = {}
    for place, axis in enumerate(AXES):
        one, other = expected[:, place], found[:, place]
        apart = np.abs(one - other)
        figures[axis] = AxisFigures(
            float(apart.mean()),
            float(apart.max()),
            _rank_correlation(one, other),
            _rank_correlation(one[::lights], other[::lights]),
        )
    return figures


def _rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    # Spearman's is not defined on constants, and scipy warns of them.
    if not (np.ptp(one) > 0.0 and np.ptp(other) > 0.0):
        return 0.0
    return float(spearmanr(one, other).statistic)
