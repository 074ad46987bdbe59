"""A benchmark for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .cases import Case
from .compare import MachineRatio, StageRatio, compare_pipelines, conditions, machine_differences, threads_told
from .figures import Ratio
from .jetson import JetsonFigures
from .noise import NoiseVerdict
from .pipeline import neither_ms
from .report import BenchReport, CaseResult, Comparison, PipelineResult


def report_view(report: BenchReport) -> RenderableType:
    """All of a report."""
    parts: list[RenderableType] = [Text(line, style="dim") for line in _machine_lines(report)]
    if report.cases:
        parts.append(_cases_table(report))
    if report.comparison is not None:
        parts.append(_comparison_line(report.comparison))
    if report.pipeline is not None:
        parts.append(_pipeline_table(report.pipeline))
    parts += [Text(f"not measured: {line}", style="dim") for line in report.absent]
    parts.append(_noise_line(report.noise, "The turns"))
    if report.pipeline is not None:
        parts.append(_noise_line(report.pipeline.noise, "The clip"))
    return Group(*parts)


def machines_view(a: BenchReport, b: BenchReport, ratios: Sequence[MachineRatio]) -> RenderableType:
    """Two machines side by side."""
    table = _table("A against B: medians in ms, and their ratio (below 1: A is faster)")
    table.add_column("bundle", overflow="fold")
    for heading in ("T", "on A", "on B"):
        table.add_column(heading)
    for heading in ("A", "B", "A / B", "95 %"):
        table.add_column(heading, justify="right")
    untrusted = [name for name, report in (("A", a), ("B", b)) if not report.noise.trusted]
    mark = "*" if untrusted else ""
    for row in ratios:
        case = row.a.case
        table.add_row(
            case.title,
            str(case.samples or "-"),
            f"{_provider(case)} {case.precision}",
            f"{_provider(row.b.case)} {row.b.case.precision}",
            _digits(row.a.figures.p50_ms),
            _digits(row.b.figures.p50_ms),
            Text(f"{row.ratio:.2f}{mark}", style="bold red" if mark else ""),
            _interval(row.spread),
        )
    parts: list[RenderableType] = []
    for name, report in (("A", a), ("B", b)):
        parts += [Text(f"{name}: {line}", style="dim") for line in _machine_lines(report)]
        parts.append(_noise_line(report.noise, f"{name}: the turns"))
        if report.pipeline is not None:
            parts.append(_noise_line(report.pipeline.noise, f"{name}: the clip"))
    parts.append(table)
    if untrusted:
        parts.append(Text(f"* not to be quoted: {' and '.join(untrusted)} not known to be quiet", style="bold red"))
    stages, why_not = compare_pipelines(a, b)
    if a.pipeline is not None and b.pipeline is not None and stages:
        noisy = [name for name, way in (("A", a.pipeline), ("B", b.pipeline)) if not way.noise.trusted]
        parts.append(_stages_table(a.pipeline.clip, stages, "*" if noisy else ""))
        if noisy and not untrusted:
            parts.append(Text(f"* not to be quoted: {' and '.join(noisy)} not known to be quiet", style="bold red"))
    if why_not:
        parts.append(Text(f"not compared: {why_not}", style="dim"))
    parts += [Text(f"unlike: {line}", style="bold red") for line in machine_differences(a, b)]
    parts += [Text(f"unlike: {line}", style="yellow") for line in conditions(a, b)]
    return Group(*parts)


def _stages_table(clip: str, stages: Sequence[StageRatio], mark: str) -> Table:
    table = _table(f"A against B: the way of a frame on {clip}, medians in ms")
    table.add_column("stage")
    for heading in ("A", "B", "A / B", "95 %"):
        table.add_column(heading, justify="right")
    for row in stages:
        ratio = Text(f"{row.spread.ratio:.2f}{mark}", style="bold red" if mark else "")
        table.add_row(row.stage, _digits(row.a_ms), _digits(row.b_ms), ratio, _interval(row.spread))
    return table


def _interval(ratio: Ratio) -> str:
    return f"{ratio.low:.2f}..{ratio.high:.2f}"


def _machine_lines(report: BenchReport) -> Iterable[str]:
    machine = report.machine
    board = f"{machine.board}, " if machine.board else ""
    yield (
        f"{board}{machine.cpu}, {machine.cores_allowed} of {machine.cores} cores, governor "
        f"{machine.governor or 'not readable'}, load before {machine.load_before[0]:.2f}"
    )
    versions = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    counted = "" if report.threads or report.threads_counted is None else f" ({report.threads_counted})"
    when = f"{report.created_at:%Y-%m-%d %H:%M} UTC"
    threads = f"threads: {threads_told(report.threads)}{counted}"
    yield f"{machine.system}, Python {machine.python}, {versions}; {threads}; {when}"
    if report.jetson is not None:
        yield f"jetson-stats, means over the turns: {_board(report.jetson)}"
    if report.pipeline is not None and report.pipeline.jetson is not None:
        yield f"jetson-stats, the clip in real time: {_board(report.pipeline.jetson)}"


def _board(told: JetsonFigures) -> str:
    values = {
        "W": told.power_w,
        "°C at the hottest": told.hottest_c,
        "MHz GPU": told.gpu_mhz,
        "MHz CPU": told.cpu_mhz,
    }
    known = ", ".join(f"{value:.4g} {unit}" for unit, value in values.items() if value is not None)
    return f"{known or 'nothing readable'}; power model {told.power_model or 'not told'}"


def _cases_table(report: BenchReport) -> Table:
    table = _table("One inference, ms")
    table.add_column("bundle", overflow="fold")
    for heading in ("T", "on"):
        table.add_column(heading, no_wrap=True)
    on_gpu = any(result.gpu_memory_mb is not None for result in report.cases)
    on_board = any(result.jetson is not None for result in report.cases)
    for heading in (
        "p50",
        "p90",
        "p99",
        "mean",
        "per s",
        "runs",
        "MiB",
        *(["GPU MiB"] if on_gpu else []),
        *(["W"] if on_board else []),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in report.cases:
        case, figures = result.case, result.figures
        table.add_row(
            case.title,
            str(case.samples or "-"),
            f"{_provider(case)} {case.precision}{_elsewhere(result)}",
            *(_digits(value) for value in (figures.p50_ms, figures.p90_ms, figures.p99_ms, figures.mean_ms)),
            _digits(figures.per_second),
            str(figures.runs),
            f"{result.memory_mb:+.0f}",
            *([_grown(result.gpu_memory_mb)] if on_gpu else []),
            *([_power(result.jetson)] if on_board else []),
        )
    return table


def _comparison_line(comparison: Comparison) -> Text:
    ratio = comparison.ratio
    return Text(
        f"{comparison.a} takes {ratio.ratio:.3f} times as long as {comparison.b} "
        f"(95 % interval {ratio.low:.3f} to {ratio.high:.3f}, {ratio.rounds} rounds in turns)",
        style="bold",
    )


def _pipeline_table(pipeline: PipelineResult) -> RenderableType:
    table = _table(f"The way of a frame on {pipeline.clip}, ms")
    table.add_column("stage")
    for heading in ("p50", "p95", "p99", "frames"):
        table.add_column(heading, justify="right")
    rows: list[tuple[str, Sequence[float]]] = list(pipeline.stages_ms.items())
    rows += [("the whole step", pipeline.work_ms), ("neither model nor detector", neither_ms(pipeline))]
    rows.append(("age of the picture, in real time", pipeline.age_ms))
    for name, times in rows:
        if times:
            table.add_row(
                name, *(_digits(float(value)) for value in np.percentile(times, (50, 95, 99))), str(len(times))
            )
    share = float(np.median(neither_ms(pipeline)) / np.median(pipeline.work_ms)) if pipeline.work_ms else 0.0
    return Group(
        table,
        Text(pipeline.notice),
        Text(f"neither model nor detector: {share:.1%} of the step, by medians"),
        Text(f"step, decoding and telling: {pipeline.frame_ms:.3g} ms a frame as fast as it goes"),
        Text(f"in real time: {len(pipeline.age_ms)} frames in {pipeline.seconds:.1f} s, {pipeline.dropped} dropped"),
    )


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def _provider(case: Case) -> str:
    return case.provider.removesuffix("ExecutionProvider")


def _elsewhere(result: CaseResult) -> str:
    """What share of its nodes ran elsewhere than on the provider that is named."""
    if not result.nodes:
        return ""
    elsewhere = 1.0 - result.nodes.get(result.case.provider, 0) / sum(result.nodes.values())
    return f", {elsewhere:.0%} of nodes elsewhere" if elsewhere else ""


def _digits(value: float) -> str:
    """Three of them, never as a power of ten."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def _power(told: JetsonFigures | None) -> str:
    return "-" if told is None or told.power_w is None else f"{told.power_w:.1f}"


def _grown(mib: float | None) -> str:
    return "-" if mib is None else f"{mib:+.0f}"


def _noise_line(noise: NoiseVerdict, part: str) -> Text:
    return Text(f"{part}: {noise.told}", style="green" if noise.trusted else "bold red")
