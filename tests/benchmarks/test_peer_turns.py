"""Turns among several workers: nothing is lost when one fails, one is busy at a time, and what spins is seen."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from side_by_side.turns import IDLE_BOUND, Case, take_turns
from side_by_side.worker_process import PeerError

from emomusic_edge.runtime.bench.measure import Effort


@dataclass
class MachineTime:
    """A clock that only work and waiting move, and the processor time of each worker."""

    now_s: float = 0.0
    used_s: dict[str, float] = field(default_factory=dict)
    spinning: set[str] = field(default_factory=set)

    def passes(self, seconds: float, busy: str = "") -> None:
        self.now_s += seconds
        for name in {busy, *self.spinning} - {""}:
            self.used_s[name] = self.used_s.get(name, 0.0) + seconds


@dataclass
class PretendedWorker:
    name: str
    machine: MachineTime
    run_ms: float = 10.0
    fails_at: int | None = None
    log: list[tuple[str, str, int]] = field(default_factory=list)
    runs: int = 0

    def run(self, case: str, count: int) -> list[float]:
        self.log.append((self.name, case, count))
        self.runs += count
        if self.fails_at is not None and self.runs >= self.fails_at:
            raise PeerError(f"{self.name} died")
        self.machine.passes(count * self.run_ms / 1e3, self.name)
        return [self.run_ms] * count

    def cpu_s(self) -> float:
        return self.machine.used_s.get(self.name, 0.0)


def turns_of(machine: MachineTime, *workers: PretendedWorker, rounds: int = 4, seconds: float = 1e9):
    cases = [Case(worker, f"{worker.name}_{letter}") for worker in workers for letter in "ab"]
    return take_turns(
        cases,
        Effort(rounds=rounds, seconds=seconds),
        lambda: machine.now_s,
        lambda: machine.passes(0.003),
        machine.passes,
    )


def test_every_case_has_every_round_and_the_first_run_of_a_turn_is_not_counted() -> None:
    machine = MachineTime()
    one, slow = PretendedWorker("one", machine), PretendedWorker("slow", machine, run_ms=2500.0)
    turns = turns_of(machine, one, slow)
    assert {case: len(rounds) for case, rounds in turns.rounds_ms.items()} == dict.fromkeys(
        ("one_a", "one_b", "slow_a", "slow_b"), 4
    )
    assert all(len(times) == 10 for times in turns.rounds_ms["one_a"])
    assert one.log[-1][2] == 11
    # one run of the slow one is longer than a turn: it is not thrown away
    assert all(times == [2500.0] for times in turns.rounds_ms["slow_a"])
    assert len(turns.noise_ms) == 4 * 4
    assert turns.noise_ms == pytest.approx([3.0] * 16)
    assert turns.idle_share == 0.0


@pytest.mark.parametrize("fails_at", [1, 3, 40])
def test_a_worker_that_fails_is_told_and_the_others_go_on(fails_at: int) -> None:
    machine = MachineTime()
    well, ill = PretendedWorker("well", machine), PretendedWorker("ill", machine, fails_at=fails_at)
    turns = turns_of(machine, well, ill)
    assert turns.failed == {"ill": "ill died"}
    assert set(turns.rounds_ms) == {"well_a", "well_b"}
    assert all(len(rounds) == 4 for rounds in turns.rounds_ms.values())
    # it is not asked again
    assert ill.runs - ill.log[-1][2] < fails_at


def test_a_worker_that_spins_in_the_turn_of_others_is_seen() -> None:
    machine = MachineTime(spinning={"spins"})
    turns = turns_of(machine, PretendedWorker("rests", machine), PretendedWorker("spins", machine))
    # a whole core in the half of the turns that are not its own
    assert turns.idle_share == pytest.approx(0.5, abs=0.01)
    assert turns.idle_share > IDLE_BOUND


def test_a_turn_waits_until_threads_have_come_to_rest() -> None:
    machine = MachineTime(spinning={"spins"})
    rest_at_s: list[float] = []

    def sleep(seconds: float) -> None:
        machine.passes(seconds)
        if machine.now_s > 0.5 and machine.spinning:
            machine.spinning.clear()
            rest_at_s.append(machine.now_s)

    spins, other = PretendedWorker("spins", machine), PretendedWorker("other", machine)
    turns = take_turns(
        [Case(spins, "s"), Case(other, "o")],
        Effort(rounds=2, seconds=1e9),
        lambda: machine.now_s,
        lambda: machine.passes(0.003),
        sleep,
    )
    assert rest_at_s
    assert turns.idle_share == 0.0


def test_no_further_pair_of_rounds_begins_after_the_time_is_up() -> None:
    machine = MachineTime()
    turns = turns_of(machine, PretendedWorker("one", machine), rounds=100, seconds=0.001)
    assert len(turns.rounds_ms["one_a"]) == 2
