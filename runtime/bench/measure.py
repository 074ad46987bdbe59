"""Times cases in turns. It reads no clock of its own: the caller gives one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .schedule import turns

# Rounds come in pairs, an order and the same backwards.
LEAST_ROUNDS = 2
_WARM_UP_RUNS = 5
_MOST_RUNS_A_TURN = 50

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure; whichever bound comes first ends it, after a whole pair of rounds.

    Attributes:
        rounds: at most so many turns for each case.
        seconds: begin no further pair of rounds after this long.
        turn_s: how long one case runs before the next has its turn.
    """

    rounds: int = 20
    seconds: float = 60.0
    turn_s: float = 0.1


@dataclass(frozen=True, slots=True)
class Timings:
    """What was timed.

    Attributes:
        rounds_ms: by case, then by round: the times of its runs.
        noise_ms: of the fixed work, once before each turn.
        seconds: how long all of it took, without the warm-up.
    """

    rounds_ms: tuple[tuple[tuple[float, ...], ...], ...]
    noise_ms: tuple[float, ...]
    seconds: float


def measure(
    runs: Sequence[Callable[[], object]],
    effort: Effort,
    clock: Clock,
    fixed_work: Callable[[], object],
    progress: Callable[[int, int], None] = lambda done, total: None,
    after_turn: Callable[[int], None] = lambda case: None,
) -> Timings:
    """Warm every case up, then let them take turns.

    The first run of a turn is not counted: its caches hold what another case left there.

    Args:
        runs: one inference of each case.
        effort: how long.
        clock: seconds, monotonic.
        fixed_work: timed before each turn, to judge the machine by.
        progress: told rounds done and rounds at most.
        after_turn: called after each turn with the place of its case, untimed.
    """
    counts = [_runs_a_turn(run, effort.turn_s, clock) for run in runs]
    fixed_work()
    rounds: list[list[tuple[float, ...]]] = [[] for _ in runs]
    noise_ms: list[float] = []
    most = max(LEAST_ROUNDS, effort.rounds + effort.rounds % 2)
    started_s = clock()
    for number, order in enumerate(turns(len(runs))):
        if number % 2 == 0 and (number >= most or (number and clock() - started_s >= effort.seconds)):
            break
        for case in order:
            noise_ms.append(_time_ms(fixed_work, clock))
            runs[case]()
            rounds[case].append(tuple(_time_ms(runs[case], clock) for _ in range(counts[case])))
            after_turn(case)
        progress(number + 1, most)
    return Timings(tuple(tuple(case) for case in rounds), tuple(noise_ms), clock() - started_s)


def _runs_a_turn(run: Callable[[], object], turn_s: float, clock: Clock) -> int:
    """Warm a case up, and say how many of its runs fill a turn."""
    median_ms = float(np.median([_time_ms(run, clock) for _ in range(_WARM_UP_RUNS)]))
    if median_ms <= 0:
        return _MOST_RUNS_A_TURN
    return min(max(math.ceil(1e3 * turn_s / median_ms), 1), _MOST_RUNS_A_TURN)


def _time_ms(run: Callable[[], object], clock: Clock) -> float:
    started_s = clock()
    run()
    return 1e3 * (clock() - started_s)
