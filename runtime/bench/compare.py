"""Holds like things together, within one run or between two machines, and refuses unlike ones."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from emomusic_edge.errors import ConfigError

from .cases import ENGINE_NAMES, Case, EngineName
from .figures import Ratio, ratio_apart, ratio_of_medians
from .pipeline import neither_ms
from .report import BenchReport, CaseResult, Comparison, PipelineResult

# Neighbouring frames are disturbed alike: they are drawn again together, a second of real time at the default rate.
_FRAMES_A_BLOCK = 10


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two of --compare; no samples stands for the bundle's default."""

    bundle: str
    samples: int | None
    engine: EngineName


@dataclass(frozen=True, slots=True)
class MachineRatio:
    """One model on two machines.

    Attributes:
        a, b: its result on each.
        spread: median on A over median on B, with its interval.
    """

    a: CaseResult
    b: CaseResult
    spread: Ratio

    @property
    def ratio(self) -> float:
        """Below 1 where A is the faster."""
        return self.spread.ratio


@dataclass(frozen=True, slots=True)
class StageRatio:
    """A part of a frame's way on two machines: medians in ms, and A over B."""

    stage: str
    a_ms: float
    b_ms: float
    spread: Ratio


def parse_side(text: str) -> Side:
    """`BUNDLE[@T][@ENGINE]`, on the CPU where no engine is named.

    Raises:
        ConfigError: what stands behind an @ is neither 1 to 128 nor an engine.
    """
    bundle, *rest = text.split("@")
    samples: int | None = None
    engine: EngineName = "cpu"
    for word in rest:
        named = next((name for name in ENGINE_NAMES if name == word), None)
        if named is not None:
            engine = named
        elif word.isascii() and word.isdigit() and 1 <= int(word) <= 128:
            samples = int(word)
        else:
            raise ConfigError(
                f"--compare {text}: {word!r} is neither a T from 1 to 128 nor one of {', '.join(ENGINE_NAMES)}.",
                mend="--compare NAME@5 NAME@64, or --compare NAME@64@cpu NAME@64@tensorrt",
            )
    return Side(bundle, samples, engine)


def difference(a: Case, b: Case) -> str:
    """Why two cases are no choice between like things; empty when they are."""
    if (a.kind == "detector") != (b.kind == "detector"):
        return f"{a.bundle} is a {_what(a)}, {b.bundle} a {_what(b)}"
    if a.source != b.source:
        return f"{a.bundle} looks at a {a.source}, {b.bundle} at a {b.source}"
    if (a.height_px, a.width_px) != (b.height_px, b.width_px):
        return (
            f"{a.bundle} takes {a.width_px}x{a.height_px} pixels, {b.bundle} {b.width_px}x{b.height_px}: "
            "the smaller one sees less"
        )
    return ""


def check_alike(a: Case, b: Case, *, force: bool) -> None:
    """Refuse to compare unlike things.

    Raises:
        ConfigError: they differ in more than can be chosen, and `force` is not set; or they do not differ at all.
    """
    if a == b:
        raise ConfigError(
            f"--compare was given the same thing twice: {a.label}.",
            mend="Give another T or engine: --compare NAME@5 NAME@64",
        )
    reason = difference(a, b)
    if reason and not force:
        raise ConfigError(f"--compare refuses unlike things: {reason}.", mend="Compare them all the same: --force")


def compare_cases(a: CaseResult, b: CaseResult) -> Comparison:
    """Two cases of one interleaved run."""
    return Comparison(a=a.case.label, b=b.case.label, ratio=ratio_of_medians(a.rounds_ms, b.rounds_ms))


def machine_differences(a: BenchReport, b: BenchReport) -> list[str]:
    """Why two reports are none of like things: threads, and models that ran on no engine in common."""
    found = []
    if a.threads != b.threads:
        found.append(f"threads: {threads_told(a.threads)} on A, {threads_told(b.threads)} on B")
    ours, theirs = _by_model(a.cases), _by_model(b.cases)
    for key in ours.keys() & theirs.keys():
        mine, other = ours[key], theirs[key]
        if not mine.keys() & other.keys():
            name = next(iter(mine.values())).case.bundle
            found.append(f"{name} ran on {', '.join(sorted(mine))} on A, on {', '.join(sorted(other))} on B")
    return sorted(set(found))


def conditions(a: BenchReport, b: BenchReport) -> list[str]:
    """What else differs and is no reason to refuse: governor, power model, versions of what runs the models."""
    told: dict[str, tuple[str | None, str | None]] = {
        "governor": (a.machine.governor, b.machine.governor),
        "power model": (_power_model(a), _power_model(b)),
        "Python": (a.machine.python, b.machine.python),
    }
    ours, theirs = a.machine.packages, b.machine.packages
    told |= {name: (ours.get(name), theirs.get(name)) for name in sorted(ours.keys() | theirs.keys())}
    return [f"{name}: {x or 'none'} on A, {y or 'none'} on B" for name, (x, y) in told.items() if x != y]


def compare_pipelines(a: BenchReport, b: BenchReport) -> tuple[list[StageRatio], str]:
    """The way of a frame on two machines, or why it is not held side by side; both empty where neither has one."""
    first, second = a.pipeline, b.pipeline
    if first is None or second is None:
        lacking = [name for name, pipeline in (("A", first), ("B", second)) if pipeline is None]
        return [], "" if len(lacking) == 2 else f"the way of a frame: {lacking[0]} has none"
    for what, x, y in (
        ("clip", first.clip, second.clip),
        ("models", first.notice, second.notice),
        ("engines", _told(first.providers), _told(second.providers)),
    ):
        if x != y:
            return [], f"the way of a frame: other {what}: {x or 'none named'} on A, {y or 'none named'} on B"
    ours, theirs = _rows(first), _rows(second)
    return [
        StageRatio(
            stage, statistics.median(ours[stage]), statistics.median(theirs[stage]), _apart(ours[stage], theirs[stage])
        )
        for stage in ours
        if ours[stage] and theirs.get(stage)
    ], ""


def _rows(pipeline: PipelineResult) -> dict[str, Sequence[float]]:
    return {
        **pipeline.stages_ms,
        "the whole step": pipeline.work_ms,
        "neither model nor detector": neither_ms(pipeline),
        "age of the picture, in real time": pipeline.age_ms,
    }


def _apart(a: Sequence[float], b: Sequence[float]) -> Ratio:
    return ratio_apart(_blocks(a), _blocks(b))


def _blocks(times: Sequence[float]) -> list[Sequence[float]]:
    return [times[start : start + _FRAMES_A_BLOCK] for start in range(0, len(times), _FRAMES_A_BLOCK)]


def _power_model(report: BenchReport) -> str | None:
    return None if report.jetson is None else report.jetson.power_model


def _told(providers: Mapping[str, str]) -> str:
    return ", ".join(f"{part} {provider}" for part, provider in sorted(providers.items()))


def threads_told(threads: int) -> str:
    """The setting in words."""
    return str(threads) if threads else "one a core"


def compare_machines(a: BenchReport, b: BenchReport, *, force: bool) -> list[MachineRatio]:
    """The same models on two machines: same file, precision, T and engine, with the same setting of threads.

    Args:
        a: what was measured on one.
        b: what was measured on the other.
        force: compare also where threads differ, and the fastest engine of each where they have none in common.

    Raises:
        ConfigError: they share no model at any T; or they differ otherwise, and `force` is not set.
    """
    ratios: list[MachineRatio] = []
    ours, theirs = _by_model(a.cases), _by_model(b.cases)
    for key in ours.keys() & theirs.keys():
        mine, other = ours[key], theirs[key]
        for engine in mine.keys() & other.keys() or {""}:
            first, second = (of.get(engine) or min(of.values(), key=_median_ms) for of in (mine, other))
            ratios.append(MachineRatio(first, second, ratio_apart(first.rounds_ms, second.rounds_ms)))
    if not ratios:
        names = {case.case.bundle for case in a.cases} & {case.case.bundle for case in b.cases}
        reason = f"{', '.join(sorted(names))} differ in sha256, precision or T" if names else "they share no bundle"
        raise ConfigError(
            f"The two files measure nothing alike: {reason}.",
            mend="Measure the same bundles at the same --samples on both.",
        )
    if not force and (unlike := machine_differences(a, b)):
        raise ConfigError(
            f"bench report refuses unlike things: {'; '.join(unlike)}.",
            mend="Measure both alike, or compare them all the same: --force",
        )
    return sorted(ratios, key=lambda ratio: (ratio.a.case.bundle, ratio.a.case.samples, ratio.a.case.engine))


def _by_model(cases: Iterable[CaseResult]) -> dict[tuple[str, str, int], dict[str, CaseResult]]:
    found: dict[tuple[str, str, int], dict[str, CaseResult]] = {}
    for result in cases:
        case = result.case
        found.setdefault((case.sha256, case.precision, case.samples), {})[case.engine] = result
    return found


def _median_ms(result: CaseResult) -> float:
    return result.figures.p50_ms


def _what(case: Case) -> str:
    return "detector" if case.kind == "detector" else f"{case.source} model"
