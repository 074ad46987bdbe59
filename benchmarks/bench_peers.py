"""Measures the goals and the peers side by side: each in a process of its own, in turns, one busy at a time.

make bench                                       sets the peers' environments up and measures all
make bench-quick                                 a trial in few rounds
python benchmarks/bench_peers.py --only mediapipe --only ours
python benchmarks/bench_peers.py --only service --json out/service.json

A peer that is not there or fails is told as not measured, with the reason. docs/peers.md says what each one is, and
what its figures hold against what. The exit code is 0 also when a goal is missed: this measures.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from side_by_side.roster import MEMBERS, REPO

if TYPE_CHECKING:
    from peers.inputs import Inputs
    from rich.console import Console
    from side_by_side.service import ServiceFigures
    from side_by_side.turns import Case, Turns
    from side_by_side.worker_process import Loaded, WorkerProcess

SERVICE = "service"
INTERRUPTED = 130


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*(member.name for member in MEMBERS), SERVICE]
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}; may be repeated"
    )
    parser.add_argument("--rounds", type=int, default=20, help="turns for each case at most (default 20)")
    parser.add_argument("--seconds", type=float, default=900.0, help="begin no further round after this (default 900)")
    parser.add_argument("--starts", type=int, default=5, help="counted starts of the service (default 5)")
    parser.add_argument("--service-seconds", type=float, default=40.0, help="how long it then runs (default 40)")
    parser.add_argument("--quick", action="store_true", help="2 rounds, 2 starts, 8 seconds: a trial, not to be quoted")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, every single time included")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write both tables as Markdown")
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        chosen.rounds, chosen.starts, chosen.service_seconds = 2, 2, 8.0
    return chosen


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write."""
    chosen = parse(arguments)
    # What ends a terminal or a session ends the workers too: they are closed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    try:
        _measure(chosen)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    return 0


def _measure(chosen: argparse.Namespace) -> None:
    from rich.console import Console
    from side_by_side.goals import judge
    from side_by_side.prepare import prepare
    from side_by_side.provenance import model_hashes, revision
    from side_by_side.result import Result, write_json
    from side_by_side.tables import markdown, view

    from emomusic_edge.runtime.bench.machine import read_machine
    from emomusic_edge.runtime.bench.noise import noise_verdict

    console = Console()
    machine = read_machine()

    def announce(what: str) -> None:
        console.print(what, style="dim", highlight=False, markup=False)

    with tempfile.TemporaryDirectory(prefix="emomusic-bench-") as scratch:
        inputs = prepare(Path(scratch), announce)
        bundles, code = model_hashes(inputs.bundles), revision(REPO)
        turns, loaded, memory, threads, missing = _workers(chosen, inputs, console, announce)
        service = _service(chosen, inputs, Path(scratch), missing, announce)
    facts = {key: value for told in loaded.values() for key, value in told.facts.items() if key != "threads"}
    result = Result(
        created_at=datetime.now(timezone.utc),
        machine=machine,
        revision=code,
        bundles=bundles,
        quick=chosen.quick,
        seconds=turns.seconds,
        noise=noise_verdict(turns.noise_ms) if turns.rounds_ms else None,
        idle_share=turns.idle_share,
        about={name: told.about for name, told in loaded.items()},
        facts=facts,
        memory_mib=memory,
        missing=missing,
        rounds_ms=turns.rounds_ms,
        service=service,
        goals=judge(turns.rounds_ms, service, missing, facts),
        threads=threads,
    )
    console.print(view(result))
    if chosen.json:
        write_json(chosen.json, result)
        announce(f"json: {chosen.json}")
    if chosen.markdown:
        chosen.markdown.parent.mkdir(parents=True, exist_ok=True)
        chosen.markdown.write_text(markdown(result), encoding="utf-8")
        announce(f"markdown: {chosen.markdown}")


def _workers(
    chosen: argparse.Namespace, inputs: Inputs, console: Console, announce: Callable[[str], None]
) -> tuple[Turns, dict[str, Loaded], dict[str, float], dict[str, dict[str, int]], dict[str, str]]:
    """Start those that take part one after another, and let all their cases take turns."""
    from side_by_side.turns import Case
    from side_by_side.worker_process import PeerError, WorkerProcess, plain_environment

    missing: dict[str, str] = {}
    loaded: dict[str, Loaded] = {}
    cases: list[Case] = []
    workers: list[WorkerProcess] = []
    environment = {**plain_environment(os.environ), "PYTHONPATH": str(REPO / "benchmarks")}
    with contextlib.ExitStack() as started:
        for member in MEMBERS:
            if chosen.only and member.name not in chosen.only:
                continue
            if member.missing:
                missing[member.name] = member.missing
                continue
            announce(f"loading {member.name}")
            command = [str(member.python), "-m", f"peers.{member.module}", str(inputs.folder)]
            try:
                worker = WorkerProcess(member.name, command, inputs.folder / f"{member.name}.log", environment)
                started.callback(worker.close)
                loaded[member.name] = worker.load()
            except PeerError as error:
                missing[member.name] = str(error)
                continue
            workers.append(worker)
            cases += [Case(worker, case) for case in loaded[member.name].cases]
        turns = _turns(chosen, cases, console)
        missing |= turns.failed
        threads = {
            worker.name: {**loaded[worker.name].facts.get("threads", {}), "whole process": count}
            for worker in workers
            if (count := worker.threads())
        }
        memory = {worker.name: mib for worker in workers if (mib := worker.resident_mib()) is not None}
    return turns, loaded, memory, threads, missing


def _turns(chosen: argparse.Namespace, cases: list[Case], console: Console) -> Turns:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from side_by_side.turns import Turns, take_turns

    from emomusic_edge.runtime.bench.measure import Effort
    from emomusic_edge.runtime.bench.noise import FixedWork

    if not cases:
        return Turns()
    fixed_work = FixedWork(os.sched_getaffinity(0))
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    # A thread that redraws the bar ten times a second would be measured too.
    bar = Progress(*columns, console=console, transient=True, auto_refresh=False)
    with contextlib.closing(fixed_work), bar as progress:
        task = progress.add_task("warming up")
        return take_turns(
            cases,
            Effort(rounds=chosen.rounds, seconds=chosen.seconds),
            time.perf_counter,
            fixed_work,
            time.sleep,
            lambda what, done, total: progress.update(
                task, description=what, completed=done, total=total, refresh=True
            ),
        )


def _service(
    chosen: argparse.Namespace,
    inputs: Inputs,
    scratch: Path,
    missing: dict[str, str],
    announce: Callable[[str], None],
) -> ServiceFigures | None:
    from side_by_side.prepare import demo_clip
    from side_by_side.service import measure_service
    from side_by_side.worker_process import PeerError

    from emomusic_edge.runtime.bench.noise import FixedWork

    if chosen.only and SERVICE not in chosen.only:
        return None
    try:
        with contextlib.closing(FixedWork(os.sched_getaffinity(0))) as fixed_work:
            return measure_service(
                inputs,
                demo_clip(),
                scratch,
                starts=chosen.starts,
                seconds=chosen.service_seconds,
                fixed_work=fixed_work,
                announce=announce,
            )
    except PeerError as error:
        missing[SERVICE] = str(error)
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
