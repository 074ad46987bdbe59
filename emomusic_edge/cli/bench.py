"""`emomusic-edge bench`: measures latency; `bench report` holds the figures of two machines side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from emomusic_edge.cli.run import CONFIG, SET

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from emomusic_edge.runtime.bench.cases import Loaded
    from emomusic_edge.runtime.bench.measure import Effort, Timings
    from emomusic_edge.runtime.bench.report import PipelineResult

_DEFAULT_COMMAND = "measure"
SAMPLES = (1, 5, 20, 64, 128)

_BUNDLES = typer.Argument(
    metavar="BUNDLE",
    help="Names or folders of bundles; without any, those of the config, and the way of a frame on the demo clip.",
    show_default=False,
)
_SAMPLES = typer.Option(
    "--samples",
    "-T",
    metavar="T",
    min=1,
    max=128,
    help="Dropout samples; may be repeated.",
    show_default="1, 5, 20, 64, 128",
)
_ENGINE = typer.Option(
    "--engine", metavar="NAME", help="tensorrt, cuda or cpu; may be repeated. Without it, each that runs here."
)
_PRECISION = typer.Option(
    "--precision",
    metavar="NAME",
    help="fp32, fp16 or int8; may be repeated. Without it, each that lies beside a bundle whose name says none.",
)
_ROUNDS = typer.Option("--rounds", min=2, max=10_000, help="At most so many turns for each case.")
_SECONDS = typer.Option("--seconds", min=0.1, help="Begin no further pair of rounds after this long.")
_CLIP = typer.Option("--clip", metavar="FILE", help="Measure the way of a frame on this clip.", show_default=False)
_NO_CLIP = typer.Option("--no-clip", help="Leave the way of a frame out.")
_CLIP_SECONDS = typer.Option("--clip-seconds", min=0.5, help="How long the clip runs in real time.")
_COMPARE = typer.Option(
    "--compare",
    metavar="A B",
    help="Hold two against each other: BUNDLE, BUNDLE@T or BUNDLE@T@ENGINE each.",
    show_default=False,
)
_FORCE = typer.Option("--force", help="Compare unlike things all the same.")
_JSON = typer.Option("--json", metavar="FILE", help="Write everything as JSON; `bench report` reads it.")
_PLOTS = typer.Option("--plots", metavar="DIR", help="Draw PNG pictures into this folder.")


class _MeasureByDefault(typer.core.TyperGroup):
    """`bench face-starter` is `bench measure face-starter`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command where none is named."""
        if not args or args[0] not in (*self.commands, "-h", "--help"):
            args = [_DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_MeasureByDefault,
    no_args_is_help=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Measure latency. `bench BUNDLE…` is `bench measure BUNDLE…`: -T 5 -T 64 measures at these numbers of dropout "
        "samples, --compare A B holds two against each other, --json FILE keeps every figure, --plots DIR draws them. "
        "All of its options: bench measure --help."
    ),
)


@app.command(_DEFAULT_COMMAND)
def measure_command(
    bundles: Annotated[list[str] | None, _BUNDLES] = None,
    samples: Annotated[list[int] | None, _SAMPLES] = None,
    engine: Annotated[list[str] | None, _ENGINE] = None,
    precision: Annotated[list[str] | None, _PRECISION] = None,
    rounds: Annotated[int, _ROUNDS] = 20,
    seconds: Annotated[float, _SECONDS] = 60.0,
    clip: Annotated[Path | None, _CLIP] = None,
    no_clip: Annotated[bool, _NO_CLIP] = False,
    clip_seconds: Annotated[float, _CLIP_SECONDS] = 10.0,
    compare: Annotated[tuple[str, str] | None, _COMPARE] = None,
    force: Annotated[bool, _FORCE] = False,
    json_file: Annotated[Path | None, _JSON] = None,
    plots: Annotated[Path | None, _PLOTS] = None,
    config: Annotated[Path | None, CONFIG] = None,
    assignments: Annotated[list[str] | None, SET] = None,
) -> None:
    """Measure what an inference takes, for each bundle, precision, engine and T in turns, and a frame on its whole way.

    docs/benchmark.md says what each column means, and when to believe it.

        emomusic-edge bench                                   what the config runs, and the demo clip
        emomusic-edge bench face-starter --json here.json
        emomusic-edge bench --compare NAME@5 NAME@64          two T of a bundle
    """
    from datetime import datetime, timezone

    from rich.console import Console

    from emomusic_edge.cli.bench_choice import (
        check_clip,
        choose,
        choose_clip,
        choose_pair,
        choose_precisions,
        places_of_pair,
    )
    from emomusic_edge.cli.session import check_writable
    from emomusic_edge.config import load_config, parse_assignments
    from emomusic_edge.engine_store import EngineStore
    from emomusic_edge.errors import ConfigError, EmomusicError
    from emomusic_edge.graph_store import GraphStore
    from emomusic_edge.paths import CacheLayout, DataLayout
    from emomusic_edge.runtime.app import engine_makers
    from emomusic_edge.runtime.bench.cases import load_cases
    from emomusic_edge.runtime.bench.compare import check_alike, compare_cases
    from emomusic_edge.runtime.bench.jetson import JetsonWatch
    from emomusic_edge.runtime.bench.machine import read_machine
    from emomusic_edge.runtime.bench.measure import Effort
    from emomusic_edge.runtime.bench.noise import noise_verdict
    from emomusic_edge.runtime.bench.precisions import in_each_precision
    from emomusic_edge.runtime.bench.report import BenchReport, case_results, write_report
    from emomusic_edge.runtime.bench.tables import report_view

    if compare is not None and (bundles or clip is not None or samples or engine or precision):
        raise ConfigError(
            "--compare measures its two alone: no bundle, --clip, --samples, --engine or --precision goes with it.",
            mend="Leave the others out, and write T and engine behind the names: --compare NAME@5@cpu NAME@64@cpu",
        )
    precisions = choose_precisions(precision)
    check_clip(clip)
    check_writable("--json", json_file)
    if plots is not None:
        from emomusic_edge.cli.bench_plots import check_can_draw

        check_can_draw()
        check_writable("--plots", plots / "stages.png")
    console = Console()
    layers = parse_assignments(assignments or ())
    settings = load_config(config, layers)
    machine = read_machine()
    absent: list[str] = []
    if compare is not None:
        wanted = choose_pair(compare, settings)
    else:
        wanted = choose(bundles or [], samples or SAMPLES, engine, settings)
        wanted, absent = in_each_precision(wanted, precisions)
    threads = settings.models.threads
    makers = engine_makers(threads, GraphStore(CacheLayout(settings.paths.cache_dir).graphs))
    loaded = load_cases(wanted, makers, EngineStore(DataLayout(settings.paths.data_dir).engines))
    watch = JetsonWatch()
    try:
        if compare is not None:
            a, b = places_of_pair(loaded)
            check_alike(loaded.cases[a].case, loaded.cases[b].case, force=force)
        timings = _measured(loaded, Effort(rounds=rounds, seconds=seconds), console, watch.read)
    except BaseException:
        watch.close()
        raise
    finally:
        loaded.close()
    absent += [*loaded.absent, *([watch.absent] if watch.absent else [])]
    pipeline, broke = None, None
    if compare is None and not no_clip:
        found, why_not = choose_clip(clip, bundles or [], settings)
        if found is not None:
            try:
                pipeline = _pipeline(found, config, layers, clip_seconds, console, lambda: watch.read(found.name))
                pipeline = pipeline.model_copy(update={"jetson": watch.figures(found.name)})
            except EmomusicError as error:
                # What was measured until then is not lost: it is shown and written, then the error is told.
                broke, why_not = error, f"the way of a frame: {error}"
        if why_not:
            absent.append(why_not)
    watch.close()
    results = case_results(loaded.cases, timings, watch.figures)
    report = BenchReport(
        created_at=datetime.now(timezone.utc),
        machine=machine.model_copy(update={"packages": {**watch.versions, **machine.packages}}),
        threads=threads,
        threads_counted=next((case.threads for case in loaded.cases if case.threads is not None), None),
        seconds=round(timings.seconds, 2),
        noise=noise_verdict(timings.noise_ms),
        jetson=watch.figures(*range(len(results))),
        absent=tuple(absent),
        cases=results,
        comparison=compare_cases(results[a], results[b]) if compare else None,
        pipeline=pipeline,
    )
    console.print(report_view(report))
    if json_file is not None:
        write_report(json_file, report)
        console.print(f"json: {json_file}", highlight=False, markup=False)
    if plots is not None:
        from emomusic_edge.cli.bench_plots import draw_all

        for picture in draw_all(report, plots):
            console.print(f"plot: {picture}", highlight=False, markup=False)
    if broke is not None:
        raise broke


@app.command("report")
def report_command(
    a: Annotated[Path, typer.Argument(metavar="A.json", help="What `bench --json` wrote.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B.json", help="The same of another machine.", show_default=False)],
    force: Annotated[bool, _FORCE] = False,
) -> None:
    """Hold the same models on two machines against each other, on the same engine and with the same threads."""
    from rich.console import Console

    from emomusic_edge.runtime.bench.compare import compare_machines
    from emomusic_edge.runtime.bench.report import read_report
    from emomusic_edge.runtime.bench.tables import machines_view

    first, second = read_report(a), read_report(b)
    Console().print(machines_view(first, second, compare_machines(first, second, force=force)))


def _measured(loaded: Loaded, effort: Effort, console: Console, after_turn: Callable[[int], None]) -> Timings:
    import contextlib
    import os
    import time

    from rich.progress import Progress

    from emomusic_edge.runtime.bench.measure import measure
    from emomusic_edge.runtime.bench.noise import FixedWork

    fixed_work = FixedWork(os.sched_getaffinity(0))
    # A thread that redraws the bar ten times a second would be measured too.
    bar = Progress(console=console, transient=True, auto_refresh=False)
    with contextlib.closing(fixed_work), bar as progress:
        task = progress.add_task(f"{len(loaded.cases)} cases in turns", total=effort.rounds)
        return measure(
            [case.run for case in loaded.cases],
            effort,
            time.perf_counter,
            fixed_work,
            lambda done, total: progress.update(task, completed=done, total=total, refresh=True),
            after_turn,
        )


def _pipeline(
    clip: Path,
    config: Path | None,
    layers: dict[str, Any],
    seconds: float,
    console: Console,
    sample: Callable[[], None],
) -> PipelineResult:
    import contextlib
    import os
    import threading

    from emomusic_edge.config import load_config
    from emomusic_edge.runtime.app import App, RunPlan
    from emomusic_edge.runtime.bench.noise import FixedWork
    from emomusic_edge.runtime.bench.pipeline import measure_pipeline

    # A speaker and a broker belong to the machine, not to the work on a frame. Every frame runs the scene model, unless
    # --set says otherwise: half skipped, half run, its stage would be a figure of neither.
    own = {"camera.source": str(clip), "mqtt.enabled": False, "player.muted": True}
    settings = load_config(config, {"loop.scene_max_age_s": 0, **layers, **own})

    def make(fast: bool, stop: threading.Event) -> App:
        return App(settings, RunPlan(fast=fast, stop=stop))

    console.print(f"{clip.name}: as fast as it goes, then {seconds:g} s in real time", style="dim", highlight=False)
    with contextlib.closing(FixedWork(os.sched_getaffinity(0))) as fixed_work:
        return measure_pipeline(clip.name, make, seconds, fixed_work, sample)
