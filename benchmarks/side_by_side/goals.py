"""The goals: figures in, and for each whether it is met, missed or not decided out."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from emomusic_edge.runtime.bench.figures import ratio_of_medians
from side_by_side.roster import member_of
from side_by_side.service import ServiceFigures

Rounds = Sequence[Sequence[float]]
RoundsByCase = Mapping[str, Rounds]
Verdict = Literal["met", "missed", "not decided", "not measured"]

# The scene model's matrix products alone, in their own shapes, by each that was timed.
OWN_SHAPES = ("products_ort", "products_numpy", "products_torch")
# Square products: the machine's best rate.
PEAK = "products_peak"
_MB_A_MIB = 2**20 / 1e6


@dataclass(frozen=True)
class Figure:
    """One number and the bound it is held to.

    Attributes:
        label: which one of a goal's; empty where there is one alone.
        value: None when it was not measured.
        unit: behind the number.
        bound: what it is held to; None for what is told beside a goal.
        at_least: whether the bound is a lower one.
        low, high: a 95 % interval; None for what is not timed in rounds, which its value alone decides.
        missing: why there is no value.
    """

    label: str
    value: float | None
    unit: str
    bound: float | None
    at_least: bool = False
    low: float | None = None
    high: float | None = None
    missing: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """Not decided where the interval lies on both sides of the bound; None when it is held to nothing."""
        if self.bound is None:
            return None
        if self.value is None:
            return "not measured"
        ends = (self.value if end is None else end for end in (self.low, self.high))
        right = [end >= self.bound if self.at_least else end <= self.bound for end in ends]
        return "met" if all(right) else "not decided" if any(right) else "missed"


@dataclass(frozen=True)
class Goal:
    """One row.

    Attributes:
        what: the first column.
        figures: what is judged.
        beside: what is only told.
    """

    what: str
    figures: tuple[Figure, ...]
    beside: tuple[Figure, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of its figures' verdicts: met only when each is."""
        each = [figure.verdict for figure in self.figures]
        order: tuple[Verdict, ...] = ("missed", "not measured", "not decided")
        return next((verdict for verdict in order if verdict in each), "met")


def judge(
    rounds: RoundsByCase, service: ServiceFigures | None, missing: Mapping[str, str], facts: Mapping[str, Any]
) -> list[Goal]:
    """The goals in the order of the issue's table.

    Args:
        rounds: times in ms by case, then by round.
        service: None when it was not measured.
        missing: by worker, and `service`, why it was not measured.
        facts: what the workers told; `products_flop` and `products_peak_flop` count here.
    """
    ratio = _Ratios(rounds, missing)
    short, full = "short-range", "full-range"
    return [
        Goal(
            "scene + face, T = 20, against the source document's loop, fp32",
            (ratio("", "seed_loop", "pair_fp32", 35, at_least=True),),
        ),
        Goal("the same, int8", (ratio("", "seed_loop", "pair_int8", 90, at_least=True),)),
        Goal(
            "T = 64 against T = 5, whole model",
            tuple(
                ratio(f"{source} {precision}", f"{source}_{precision}_T64", f"{source}_{precision}_T5", 1.05)
                for source in ("scene", "face")
                for precision in ("fp32", "int8")
            ),
        ),
        Goal(
            "heads at T = 20, fixed masks",
            (
                _median("scene", rounds, "scene_heads", 0.25, missing),
                _median("face", rounds, "face_heads", 0.12, missing),
            ),
        ),
        Goal(
            "face int8 with T = 20, against hsemotion-onnx B0 with one pass",
            (ratio("", "face_int8_T20", "hsemotion", 0.6),),
        ),
        _product_limit(ratio, rounds, facts),
        Goal(
            "detector against MediaPipe's Python API",
            (
                ratio(short, "detector_short", "mediapipe_short", 0.75),
                ratio(full, "detector_full", "mediapipe_full", 0.75),
            ),
        ),
        *_of_service(service, missing.get("service", "it was left out")),
    ]


def fastest(rounds: RoundsByCase, cases: Sequence[str]) -> str | None:
    """The case with the lowest median among those that were measured."""
    there = [case for case in cases if rounds.get(case)]
    return min(there, key=lambda case: median_ms(rounds[case])) if there else None


def median_ms(rounds: Rounds) -> float:
    """Of all runs of all rounds."""
    return statistics.median(time for times in rounds for time in times)


class _Ratios:
    def __init__(self, rounds: RoundsByCase, missing: Mapping[str, str]) -> None:
        self._rounds = rounds
        self._missing = missing

    def __call__(
        self, label: str, a: str, b: str, bound: float | None, *, at_least: bool = False, times: float = 1.0
    ) -> Figure:
        """Median of `a` over median of `b`; `times` where `b` did another amount of the same work."""
        absent = [case for case in (a, b) if not self._rounds.get(case)]
        if absent:
            return Figure(label, None, "x", bound, at_least, missing=_why(absent[0], self._missing))
        found = ratio_of_medians(self._rounds[a], self._rounds[b])
        return Figure(label, times * found.ratio, "x", bound, at_least, times * found.low, times * found.high)


def _product_limit(ratio: _Ratios, rounds: RoundsByCase, facts: Mapping[str, Any]) -> Goal:
    """The scene model against its multiply-adds at the rate of square products, the machine's best."""
    scene = "scene_fp32_graph"
    times = facts["products_peak_flop"] / facts["products_flop"] if rounds.get(PEAK) else 1.0
    beside = []
    if rounds.get(scene) and (own := fastest(rounds, OWN_SHAPES)):
        beside.append(ratio(f"in their own shapes, by {own.removeprefix('products_')},", scene, own, None))
    return Goal(
        "scene fp32 against its multiply-adds at the machine's best rate of matrix products",
        (ratio("", scene, PEAK, 1.25, times=times),),
        tuple(beside),
    )


def _median(label: str, rounds: RoundsByCase, case: str, bound: float, missing: Mapping[str, str]) -> Figure:
    if not rounds.get(case):
        return Figure(label, None, "ms", bound, missing=_why(case, missing))
    # Over one, round by round: the same bootstrap as of a ratio.
    found = ratio_of_medians(rounds[case], [[1.0]] * len(rounds[case]))
    return Figure(label, found.ratio, "ms", bound, low=found.low, high=found.high)


def _why(case: str, missing: Mapping[str, str]) -> str:
    return missing.get(member_of(case), f"{case} was left out")


def _of_service(service: ServiceFigures | None, why: str) -> list[Goal]:
    def figure(label: str, unit: str, bound: float, value: Callable[[ServiceFigures], float | None]) -> Figure:
        found = value(service) if service is not None else None
        return Figure(label, found, unit, bound, missing="" if found is not None else why)

    return [
        Goal(
            "neither model nor detector, publishing included",
            (
                figure("a frame", "ms", 2.0, lambda told: _middle(told.neither_ms)),
                figure("of the frame", "%", 3.0, _share_percent),
            ),
        ),
        Goal(
            "age of the picture at the published state, 10 frames a second, int8",
            (figure("p95", "ms", 100.0, lambda told: _percentile(told.age_ms, 95)),),
        ),
        Goal(
            "resident memory of the running service, int8",
            (figure("", "MB", 350.0, lambda told: _megabytes(told.resident_mib)),),
        ),
        Goal(
            "start of `run` to the first published state, warm disk, int8",
            (
                figure("looking at a clip", "s", 1.5, lambda told: _middle(told.start_s)),
                replace(
                    figure("through a USB camera", "s", 1.5, lambda told: _middle(told.camera_start_s)),
                    missing=why if service is None else service.camera_missing,
                ),
            ),
        ),
        Goal(
            "torch, pandas, matplotlib, mediapipe, onnx imported by the service",
            (figure("", "of 5", 0.0, lambda told: float(len(told.imported))),),
        ),
    ]


def _middle(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def _megabytes(mib: Sequence[float]) -> float | None:
    return max(mib) * _MB_A_MIB if mib else None


def _share_percent(service: ServiceFigures) -> float | None:
    if not service.step_ms:
        return None
    return 100.0 * statistics.median(service.neither_ms) / statistics.median(service.step_ms)
