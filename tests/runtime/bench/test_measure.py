from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emomusic_edge.runtime.bench.measure import Effort, Timings, measure


class FakeTime:
    """Time that only work lets pass."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now_s

    def work(self, name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.calls.append(name)
            self.now_s += seconds

        return run


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


def measured(fake: FakeTime, runs: list[Callable[[], None]], effort: Effort, **told: Any) -> Timings:
    return measure(runs, effort, fake, fake.work("fixed", 0.001), **told)


def test_every_run_is_timed_and_the_first_of_a_turn_is_not_counted(fake: FakeTime) -> None:
    timings = measured(fake, [fake.work("a", 0.025), fake.work("b", 0.2)], Effort(rounds=4, seconds=100, turn_s=0.1))
    assert [len(rounds) for rounds in timings.rounds_ms] == [4, 4]
    assert [len(times) for times in timings.rounds_ms[0]] == [4] * 4
    assert [len(times) for times in timings.rounds_ms[1]] == [1] * 4
    assert timings.rounds_ms[0][0] == pytest.approx((25.0,) * 4)
    assert timings.noise_ms == pytest.approx((1.0,) * 8)
    warm_up = 5
    assert fake.calls.count("a") == warm_up + 4 * (1 + 4)
    assert fake.calls.count("b") == warm_up + 4 * (1 + 1)


def test_cases_take_turns_and_the_fixed_work_stands_before_each(fake: FakeTime) -> None:
    measured(fake, [fake.work("a", 0.2), fake.work("b", 0.2)], Effort(rounds=4, seconds=100, turn_s=0.1))
    turns = fake.calls[11:]
    assert turns[::3] == ["fixed"] * 8
    order = turns[1::3]
    assert order == turns[2::3]
    assert all(order[place : place + 4] in (["a", "b", "b", "a"], ["b", "a", "a", "b"]) for place in (0, 4))


def test_time_ends_it_after_a_whole_pair_of_rounds(fake: FakeTime) -> None:
    seen: list[tuple[int, int]] = []
    after: list[int] = []
    timings = measured(
        fake,
        [fake.work("a", 1.0)],
        Effort(rounds=100, seconds=5.0, turn_s=0.1),
        progress=lambda done, total: seen.append((done, total)),
        after_turn=after.append,
    )
    # a turn is the fixed work, a run not counted and one counted: 2.001 s
    assert len(timings.rounds_ms[0]) == 4
    assert seen == [(1, 100), (2, 100), (3, 100), (4, 100)]
    assert after == [0] * 4
    assert timings.seconds == pytest.approx(8.004)


def test_at_least_a_pair_of_rounds_is_run_and_an_odd_number_made_even(fake: FakeTime) -> None:
    run = fake.work("a", 1.0)
    assert len(measured(fake, [run], Effort(rounds=1, seconds=0.1)).rounds_ms[0]) == 2
    assert len(measured(fake, [run], Effort(rounds=3, seconds=1e6)).rounds_ms[0]) == 4


def test_a_run_too_short_for_the_clock_is_bounded(fake: FakeTime) -> None:
    timings = measured(fake, [fake.work("a", 0.0)], Effort(rounds=2))
    assert [len(times) for times in timings.rounds_ms[0]] == [50, 50]
