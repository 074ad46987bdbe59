"""Lets the cases of all workers take turns, one busy at a time; a worker that fails is told and left out.

It reads no clock of its own and starts nothing: both are given.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from emomusic_edge.runtime.bench.measure import LEAST_ROUNDS, Effort
from emomusic_edge.runtime.bench.schedule import turns
from side_by_side.worker_process import PeerError

_WARM_UP_RUNS = 5
_WARM_UP_MS = 1000.0
_MOST_RUNS_A_TURN = 50
# What may run beside a turn in all idle workers together: threads that spin would take a core, these find their rest.
IDLE_BOUND = 0.02
_REST_S = 0.005
_MOST_RESTS = 200


class Worker(Protocol):
    """What is asked of a worker (worker_process.WorkerProcess)."""

    name: str

    def run(self, case: str, count: int) -> list[float]:
        """Run a case; the times in ms. Raises PeerError."""
        ...

    def cpu_s(self) -> float:
        """Processor time used so far."""
        ...


@dataclass(frozen=True)
class Case:
    """One thing to time."""

    worker: Worker
    name: str


@dataclass
class Turns:
    """What was timed.

    Attributes:
        rounds_ms: by case, then by round; a case that failed is not among them.
        noise_ms: of the fixed work, once before each turn.
        failed: by worker, why it was left out.
        idle_share: processor time that idle workers used, as a share of one core, while others had their turn.
        seconds: without the warm-up.
    """

    rounds_ms: dict[str, list[list[float]]] = field(default_factory=dict)
    noise_ms: list[float] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    idle_share: float = 0.0
    seconds: float = 0.0


def take_turns(
    cases: Sequence[Case],
    effort: Effort,
    clock: Callable[[], float],
    fixed_work: Callable[[], object],
    sleep: Callable[[float], object],
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Turns:
    """Warm every case up, then let them take turns in random order and the same backwards.

    The first run of a turn is not counted, unless one run alone fills a turn: then what others left in the caches is
    nothing beside it.

    Args:
        cases: all of them.
        effort: how long.
        clock: seconds, monotonic.
        fixed_work: timed before each turn, to judge the machine by.
        sleep: waits that many seconds; until workers whose turn is over have come to rest.
        progress: told the case or the round, how many are done, and of how many.
    """
    result = Turns()
    counts: dict[str, int] = {}
    for number, case in enumerate(cases):
        progress(f"warming up {case.name}", number, len(cases))
        if case.worker.name not in result.failed:
            _guarded(result, case, lambda case=case: counts.update({case.name: _runs_a_turn(case, effort.turn_s)}))
    fixed_work()
    workers = list({id(case.worker): case.worker for case in cases}.values())
    most = max(LEAST_ROUNDS, effort.rounds + effort.rounds % 2)
    started_s, idle_s, busy_s = clock(), 0.0, 0.0
    result.rounds_ms = {case.name: [] for case in cases}
    for number, order in enumerate(turns(len(cases))):
        if number % 2 == 0 and (number >= most or (number and clock() - started_s >= effort.seconds)):
            break
        for case in (cases[place] for place in order):
            if case.worker.name in result.failed:
                continue
            _come_to_rest(workers, sleep)
            began_s = clock()
            fixed_work()
            result.noise_ms.append(1e3 * (clock() - began_s))
            idle = [worker for worker in workers if worker is not case.worker and worker.name not in result.failed]
            before_s, began_s = sum(worker.cpu_s() for worker in idle), clock()
            _guarded(result, case, lambda case=case: result.rounds_ms[case.name].append(_turn(case, counts[case.name])))
            idle_s += sum(worker.cpu_s() for worker in idle) - before_s
            busy_s += clock() - began_s
        progress("rounds", number + 1, most)
    result.seconds = clock() - started_s
    result.idle_share = max(idle_s, 0.0) / busy_s if busy_s else 0.0
    gone = {case.name for case in cases if case.worker.name in result.failed}
    result.rounds_ms = {name: rounds for name, rounds in result.rounds_ms.items() if name not in gone}
    return result


def _guarded(result: Turns, case: Case, work: Callable[[], object]) -> None:
    try:
        work()
    except PeerError as error:
        result.failed[case.worker.name] = str(error)


def _turn(case: Case, count: int) -> list[float]:
    return case.worker.run(case.name, 1) if count == 1 else case.worker.run(case.name, count + 1)[1:]


def _runs_a_turn(case: Case, turn_s: float) -> int:
    times: list[float] = []
    while len(times) < _WARM_UP_RUNS and sum(times) < _WARM_UP_MS:
        times += case.worker.run(case.name, 1)
    median_ms = statistics.median(times)
    if median_ms <= 0:
        return _MOST_RUNS_A_TURN
    return min(max(math.ceil(1e3 * turn_s / median_ms), 1), _MOST_RUNS_A_TURN)


def _come_to_rest(workers: Sequence[Worker], sleep: Callable[[float], object]) -> None:
    """Wait until no worker uses the processor: threads of a pool spin on for a while after their work is done."""
    used_s = sum(worker.cpu_s() for worker in workers)
    for _ in range(_MOST_RESTS):
        sleep(_REST_S)
        now_s = sum(worker.cpu_s() for worker in workers)
        if now_s - used_s <= _REST_S * IDLE_BOUND:
            return
        used_s = now_s
