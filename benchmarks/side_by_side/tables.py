"""The two tables, for the terminal and as Markdown: the goals, and the peers."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from side_by_side.goals import OWN_SHAPES, PEAK, Figure, median_ms
from side_by_side.result import Result

_STYLES = {"met": "green", "missed": "bold red", "not decided": "yellow", "not measured": "dim"}
_LOOP_AND_OURS = (("torch", "PyTorch"), ("ours", "ONNX Runtime"))
Row = tuple[str, ...]

GOAL_HEADINGS = ("goal", "found", "wanted", "verdict")
PEER_HEADINGS = ("the same work", "peer, ms", "ours, ms", "peer / ours (95 % interval)")


def goal_rows(result: Result) -> list[Row]:
    """One row for each goal."""
    return [
        (
            goal.what,
            "; beside it: ".join(", ".join(map(_figure, told)) for told in (goal.figures, goal.beside) if told),
            " / ".join(dict.fromkeys(_bound(figure) for figure in goal.figures)),
            goal.verdict,
        )
        for goal in result.goals
    ]


def peer_rows(result: Result) -> list[Row]:
    """One row for each peer and kind of work."""
    rows: list[Row] = []
    for row in result.duels():
        if row.ratio is None or row.peer_ms is None or row.ours_ms is None:
            rows.append((row.duel.what, f"not measured: {row.missing}", "", ""))
            continue
        ratio = row.ratio
        spread = f"{_digits(ratio.ratio)} ({_digits(ratio.low)} to {_digits(ratio.high)})"
        rows.append((row.duel.what, _digits(row.peer_ms), _digits(row.ours_ms), spread))
    return rows


def machine_line(result: Result) -> str:
    """What was measured on."""
    machine = result.machine
    return (
        f"{machine.cpu}, {machine.cores_allowed} of {machine.cores} cores, governor "
        f"{machine.governor or 'not readable'}; {machine.system}, Python {machine.python}"
    )


def thread_lines(result: Result) -> list[str]:
    """How many threads each worker's libraries took, and whether the loop and ours took as many."""
    lines = [
        f"threads of {name}: {', '.join(f'{library} {count}' for library, count in told.items())}"
        for name, told in result.threads.items()
    ]
    loop, ours = (result.threads.get(name, {}).get(library) for name, library in _LOOP_AND_OURS)
    if loop is not None and ours is not None:
        same = f"the same number of threads: {ours}" if loop == ours else f"unlike threads: {loop} against {ours}"
        lines.append(f"the source document's loop and ours ran on {same}")
    return lines


def facts_lines(result: Result) -> list[str]:
    """What the tables must be read with."""
    revision = f"; revision {result.revision}" if result.revision else ""
    lines = [
        f"{machine_line(result)}; load before {result.machine.load_before[0]:.2f}; "
        f"{result.created_at:%Y-%m-%d %H:%M} UTC{revision}"
    ]
    lines += [
        f"{name}: {about}" + (f"; {result.memory_mib[name]:.0f} MiB resident" if name in result.memory_mib else "")
        for name, about in result.about.items()
    ]
    lines += thread_lines(result)
    flop = result.facts.get("products_flop")
    if flop and any(case in result.rounds_ms for case in OWN_SHAPES):
        found = [
            f"{case.removeprefix('products_')} {median_ms(result.rounds_ms[case]):.1f} ms "
            f"({flop / median_ms(result.rounds_ms[case]) / 1e6:.0f} GFLOP/s)"
            for case in OWN_SHAPES
            if case in result.rounds_ms
        ]
        lines.append(f"the scene model's matrix products alone, {flop / 1e9:.2f} GFLOP: {', '.join(found)}")
    if result.rounds_ms.get(PEAK):
        speed = result.facts["products_peak_flop"] / median_ms(result.rounds_ms[PEAK]) / 1e6
        lines.append(f"one large square product: {speed:.0f} GFLOP/s")
    lines += [f"not measured: {case}: {why}" for case, why in result.missing.items()]
    return lines


def view(result: Result) -> RenderableType:
    """All of it for the terminal."""
    goals = _table("The goals", GOAL_HEADINGS)
    for *cells, verdict in goal_rows(result):
        goals.add_row(*cells, Text(verdict, style=_STYLES[verdict]))
    peers = _table("The peers, medians side by side", PEER_HEADINGS)
    for row in peer_rows(result):
        peers.add_row(*row)
    verdicts = (Text(told, style="green" if trusted else "bold red") for trusted, told in result.verdicts)
    return Group(*(Text(line, style="dim") for line in facts_lines(result)), goals, peers, *verdicts)


def markdown(result: Result) -> str:
    """Both tables for a page, below a line: what they were measured on, whether to believe them, threads."""
    threads = (f"{line[0].upper()}{line[1:]}." for line in thread_lines(result))
    first = " ".join((f"{machine_line(result)}.", *(told for _, told in result.verdicts), *threads))
    tables = _markdown_table(GOAL_HEADINGS, goal_rows(result)), _markdown_table(PEER_HEADINGS, peer_rows(result))
    return "\n\n".join((first, *tables)) + "\n"


def _figure(figure: Figure) -> str:
    label = f"{figure.label} " if figure.label else ""
    if figure.value is None:
        return f"{label}not measured: {figure.missing}"
    spread = "" if figure.low is None or figure.high is None else f" ({_digits(figure.low)} to {_digits(figure.high)})"
    return f"{label}{_digits(figure.value)}{spread} {figure.unit}"


def _bound(figure: Figure) -> str:
    assert figure.bound is not None
    return f"{'>=' if figure.at_least else '<='} {figure.bound:g} {figure.unit}"


def _digits(value: float) -> str:
    """Three of them, never as a power of ten."""
    return f"{value:.0f}" if value >= 100 or value == 0 else f"{value:.3g}"


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(*headings, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].overflow = "fold"
    return table


def _markdown_table(headings: Sequence[str], rows: Sequence[Row]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    # A cell of a plain table is one line.
    cells = ([" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)
