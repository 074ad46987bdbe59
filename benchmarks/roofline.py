"""How near each model comes to what the machine can do: multiply-adds, bytes, the machine's peaks, the time it takes.

make roofline
.venv/bin/python -m benchmarks.roofline scene-reference face-reference --json out/roofline.json --plot out/roofline.png

Models, matrix products and memory take turns in one run. A model's ideal time is that of its products, each as long as
its arithmetic at the machine's best rate or its weights at the machine's best bandwidth, whichever is longer.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.roofline_model import RooflineReport
    from benchmarks.roofline_peaks import Peak
    from emomusic_edge.runtime.bench.cases import Loaded
    from emomusic_edge.runtime.bench.measure import Effort, Timings

_RANDOM = " (random weights)"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", help="names or folders of bundles (default: those of the config)")
    parser.add_argument("--samples", type=int, default=64, help="T (default 64)")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each, at most (default 20)")
    parser.add_argument("--seconds", type=float, default=120.0, help="begin no pair of rounds after so long")
    parser.add_argument("--json", type=Path, help="write every figure")
    parser.add_argument("--plot", type=Path, help="draw the roofline as a PNG")
    parser.add_argument("--page", type=Path, help="write the tables into this page, between its marks")
    arguments = parser.parse_args()
    # A BLAS thread that spins for a while after its product would slow whoever has the next turn.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

    from rich.console import Console

    from emomusic_edge.artefacts import write_atomic

    console = Console()
    report = measure(arguments.bundles, arguments.samples, arguments.rounds, arguments.seconds, console)
    show(report, console)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(arguments.json, report.model_dump_json(indent=1).encode())
        console.print(f"json: {arguments.json}", highlight=False, markup=False)
    if arguments.plot is not None:
        from benchmarks.roofline_plot import draw_roofline

        arguments.plot.parent.mkdir(parents=True, exist_ok=True)
        draw_roofline(report, arguments.plot)
        console.print(f"plot: {arguments.plot}", highlight=False, markup=False)
    if arguments.page is not None:
        from benchmarks.roofline_page import write_into

        write_into(report, arguments.page)
        console.print(f"page: {arguments.page}", highlight=False, markup=False)


def measure(bundles: Sequence[str], samples: int, rounds: int, seconds: float, console: Console) -> RooflineReport:
    """Let everything take turns, and hold the models against the peaks."""
    import onnx

    from benchmarks.roofline_count import products_of
    from benchmarks.roofline_model import RooflineReport, model_row, own_shapes, peak_row
    from benchmarks.roofline_peaks import last_cache_bytes, peaks
    from emomusic_edge.cli.bench_choice import choose
    from emomusic_edge.config import load_config
    from emomusic_edge.engine_store import EngineStore
    from emomusic_edge.model_file import open_bundle
    from emomusic_edge.paths import DataLayout
    from emomusic_edge.runtime.app import engine_makers
    from emomusic_edge.runtime.bench.cases import load_cases
    from emomusic_edge.runtime.bench.machine import read_machine
    from emomusic_edge.runtime.bench.measure import Effort
    from emomusic_edge.runtime.bench.noise import noise_verdict

    machine = read_machine()
    settings = load_config(None, {})
    wanted = choose(bundles, [samples], ["cpu"], settings)
    products = {}
    for want in wanted:
        manifest, model = open_bundle(want.folder)
        graph = onnx.load_from_string((model.for_cpu or model).content())
        products[manifest.name] = products_of(graph, samples)
    threads = settings.models.threads or machine.cores_allowed
    cache_bytes = last_cache_bytes()
    work = peaks(own_shapes(products.values()), threads, cache_bytes)
    makers = engine_makers(settings.models.threads)
    loaded = load_cases(wanted, makers, EngineStore(DataLayout(settings.paths.data_dir).engines))
    try:
        timings = _turns(loaded, work, Effort(rounds=rounds, seconds=seconds), console)
    finally:
        loaded.close()
    models = len(loaded.cases)
    limits = tuple(peak_row(peak, times) for peak, times in zip(work, timings.rounds_ms[models:], strict=True))
    rows = tuple(
        model_row(case.case.title, case.case.precision, products[case.case.bundle], times, limits, threads, cache_bytes)
        for case, times in zip(loaded.cases, timings.rounds_ms, strict=False)
    )
    return RooflineReport(
        machine=machine,
        threads=threads,
        cache_bytes=cache_bytes,
        noise_told=noise_verdict(timings.noise_ms).told,
        noise_trusted=noise_verdict(timings.noise_ms).trusted,
        peaks=limits,
        models=rows,
    )


def _turns(loaded: Loaded, work: Sequence[Peak], effort: Effort, console: Console) -> Timings:
    import contextlib
    import time

    from rich.progress import Progress

    from emomusic_edge.runtime.bench.measure import measure
    from emomusic_edge.runtime.bench.noise import FixedWork

    fixed_work = FixedWork(os.sched_getaffinity(0))
    bar = Progress(console=console, transient=True, auto_refresh=False)
    with contextlib.closing(fixed_work), bar as progress:
        task = progress.add_task("models and peaks in turns", total=effort.rounds)
        return measure(
            [*(case.run for case in loaded.cases), *(peak.run for peak in work)],
            effort,
            time.perf_counter,
            fixed_work,
            lambda done, total: progress.update(task, completed=done, total=total, refresh=True),
        )


def show(report: RooflineReport, console: Console) -> None:
    """Print the tables."""
    from rich.table import Table

    console.print(
        f"{report.machine.cpu}, {report.threads} threads, last cache {report.cache_bytes / 2**20:.0f} MiB. "
        f"{report.noise_told}",
        highlight=False,
    )
    limits = Table("work", "threads", "median", "best tenth", "unit", title="What the machine can do")
    for peak in report.peaks:
        limits.add_row(peak.name, str(peak.threads), f"{peak.median:.3g}", f"{peak.best:.3g}", peak.unit)
    console.print(limits)
    table = Table(title="How near the models come")
    heads = ("model", "MMAC", "MB", "FLOP/B", "bound", "ideal", "p50", "p50/ideal", "p50/own")
    for head in heads:
        table.add_column(head, justify="left" if head in ("model", "bound") else "right", no_wrap=head != "model")
    for row in report.models:
        table.add_row(
            f"{row.title.replace(_RANDOM, '*')}, {row.precision}",
            f"{row.macs / 1e6:,.0f}",
            f"{row.weight_bytes / 1e6:.1f}",
            f"{row.intensity:.0f}",
            row.bound,
            f"{row.ideal_ms:.2f}",
            f"{row.p50_ms:.2f}",
            f"{row.p50_ms / row.ideal_ms:.2f}",
            "-" if row.own_ms is None else f"{row.p50_ms / row.own_ms:.2f}",
        )
    console.print(table)
    console.print(
        "MMAC: million multiply-adds. MB: of weights. FLOP/B: operations a byte of weights. ideal, p50: ms. own: the "
        "same multiply-adds at the rate of products of the model's own shapes. *: random weights; the latency is real.",
        style="dim",
        highlight=False,
    )


if __name__ == "__main__":
    main()
