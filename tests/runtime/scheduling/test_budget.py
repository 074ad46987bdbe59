"""The budget on model plants: it comes to hold, stays in its bounds, recovers, and tells the truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.runtime.scheduling import Limits, Load, RateBudget

FLOOR = 1.0


@dataclass
class Plant:
    """A machine: CPU shares of all cores for a frame and for nothing, one heat sink, a step that takes its time."""

    cpu_s_a_frame: float = 0.02
    idle_cpu: float = 0.01
    step_s: float = 0.02
    ambient_c: float | None = None
    heating_c: float = 60.0
    """Kelvin above ambient in the long run with all cores busy."""
    sink_s: float = 30.0
    most_frames: float = 1000.0
    """What the camera gives a second."""
    heat_c: float = 0.0
    carry: float = 0.0
    now_s: float = 0.0
    told: list[Load] = field(default_factory=list)

    def run(self, budget: RateBudget, seconds: float) -> None:
        """Let looks pass for so long; frames are whole."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            wall_s = budget.look_s
            self.now_s += wall_s
            rate = min(budget.frames_per_second, 1.0 / self.step_s, self.most_frames)
            exact = rate * wall_s + self.carry
            frames = int(exact)
            self.carry = exact - frames
            cpu = min(self.idle_cpu + frames * self.cpu_s_a_frame / wall_s, 1.0)
            self.heat_c += (self.heating_c * cpu - self.heat_c) * min(wall_s / self.sink_s, 1.0)
            temperature_c = None if self.ambient_c is None else self.ambient_c + self.heat_c
            self.told.append(Load(wall_s, frames, frames * self.step_s, 100.0 * cpu, temperature_c))
            budget.look(self.told[-1])


def mean_percent(loads: list[Load]) -> float:
    return sum(load.cpu_percent * load.wall_s for load in loads) / sum(load.wall_s for load in loads)


@given(
    most=st.floats(1.0, 30.0),
    cpu_s=st.floats(0.001, 0.5),
    idle=st.floats(0.0, 0.08),
    allowed=st.floats(10.0, 100.0),
)
def test_the_cpu_budget_comes_to_hold_and_nothing_leaves_its_bounds(
    most: float, cpu_s: float, idle: float, allowed: float
) -> None:
    budget, plant = RateBudget(Limits(most, max_cpu_percent=allowed)), Plant(cpu_s, idle, step_s=cpu_s)
    for _ in range(40):
        plant.run(budget, 4.0)
        assert FLOOR <= budget.frames_per_second <= most
        assert budget.reachable_frames_per_second <= budget.frames_per_second
    plant.run(budget, 120.0)
    plant.told.clear()
    plant.run(budget, 120.0)
    needs_at_floor = 100.0 * (idle + FLOOR * cpu_s)
    if needs_at_floor < 0.8 * allowed:
        assert mean_percent(plant.told) <= allowed * 1.02
        assert not budget.reason
    elif needs_at_floor > 1.3 * allowed:
        assert budget.frames_per_second == FLOOR
        assert "max_cpu_percent" in budget.reason


def test_it_holds_within_twenty_seconds() -> None:
    """10 frames a second of 60 ms on one of two cores take 31 %; 15 % are allowed."""
    budget, plant = RateBudget(Limits(10.0, max_cpu_percent=15.0)), Plant(cpu_s_a_frame=0.03, idle_cpu=0.01)
    plant.run(budget, 20.0)
    plant.told.clear()
    plant.run(budget, 60.0)
    assert all(load.cpu_percent <= 15.0 + 1.0 for load in plant.told)
    assert mean_percent(plant.told) > 0.8 * 15.0, "the budget is used"
    assert budget.limited_by == "cpu"


def test_a_budget_that_holds_changes_nothing() -> None:
    budget, plant = RateBudget(Limits(10.0, max_cpu_percent=50.0)), Plant()
    plant.run(budget, 600.0)
    assert (budget.frames_per_second, budget.limited_by, budget.reason) == (10.0, "none", "")


def test_the_rate_comes_to_rest() -> None:
    """Within the band nothing moves: no hunting up and down for ever."""
    budget, plant = RateBudget(Limits(20.0, max_cpu_percent=30.0)), Plant(cpu_s_a_frame=0.03)
    plant.run(budget, 200.0)
    rates = set()
    for _ in range(20):
        plant.run(budget, 4.0)
        rates.add(round(budget.frames_per_second, 6))
    assert len(rates) <= 2


def test_it_recovers_when_the_work_is_lighter_again() -> None:
    budget, plant = RateBudget(Limits(10.0, max_cpu_percent=30.0)), Plant(cpu_s_a_frame=0.2)
    plant.run(budget, 60.0)
    assert budget.frames_per_second < 2.0
    plant.cpu_s_a_frame = 0.01
    plant.run(budget, 120.0)
    assert (budget.frames_per_second, budget.limited_by) == (10.0, "none")


@given(ambient=st.floats(20.0, 50.0), sink_s=st.floats(5.0, 120.0), limit=st.floats(55.0, 90.0))
def test_the_temperature_comes_to_hold(ambient: float, sink_s: float, limit: float) -> None:
    budget = RateBudget(Limits(10.0, max_temperature_c=limit))
    plant = Plant(cpu_s_a_frame=0.08, idle_cpu=0.0, step_s=0.08, ambient_c=ambient, sink_s=sink_s)
    plant.run(budget, 900.0)
    plant.told.clear()
    plant.run(budget, 600.0)
    told_c = [load.temperature_c for load in plant.told]
    assert sum(told_c) / len(told_c) <= limit + 0.5
    assert max(told_c) <= limit + 5.0
    full_c = ambient + 60.0 * 0.8
    # in between the rate touches the top now and then
    if full_c > limit + 8.0:
        assert budget.limited_by == "temperature"
    elif full_c < limit - 3.0:
        assert (budget.limited_by, budget.frames_per_second) == ("none", 10.0)


def test_heat_that_is_not_ours_is_told_as_a_fault_and_forgiven() -> None:
    budget = RateBudget(Limits(10.0, max_temperature_c=60.0))
    plant = Plant(ambient_c=90.0)
    plant.run(budget, 300.0)
    assert budget.frames_per_second == FLOOR
    assert "max_temperature_c" in budget.reason
    assert budget.limited_by == "temperature"
    plant.ambient_c = 30.0
    plant.run(budget, 400.0)
    assert (budget.frames_per_second, budget.limited_by, budget.reason) == (10.0, "none", "")


def test_no_sensor_is_no_limit() -> None:
    budget, plant = RateBudget(Limits(10.0, max_temperature_c=30.0)), Plant(ambient_c=None)
    plant.run(budget, 60.0)
    assert budget.limited_by == "none"


def test_work_that_takes_longer_than_its_time_is_told_with_the_rate_it_allows() -> None:
    budget, plant = RateBudget(Limits(10.0)), Plant(cpu_s_a_frame=0.2, step_s=0.25)
    plant.run(budget, 20.0)
    assert budget.limited_by == "work"
    assert budget.reachable_frames_per_second == pytest.approx(4.0)
    assert budget.frames_per_second == 10.0, "nobody waits for nothing"
    plant.step_s = 0.02
    plant.run(budget, 20.0)
    assert (budget.limited_by, budget.reachable_frames_per_second) == ("none", 10.0)


def test_a_slow_camera_is_lowered_from_what_it_gives() -> None:
    budget = RateBudget(Limits(10.0, max_cpu_percent=10.0))
    plant = Plant(cpu_s_a_frame=0.07, idle_cpu=0.0, most_frames=3.0)
    plant.run(budget, 8.0)
    plant.told.clear()
    plant.run(budget, 40.0)
    assert all(load.cpu_percent <= 12.0 for load in plant.told)


def test_a_rate_below_the_floor_is_left_alone() -> None:
    budget, plant = RateBudget(Limits(0.2, max_cpu_percent=1.0)), Plant(cpu_s_a_frame=1.0)
    plant.run(budget, 300.0)
    assert budget.frames_per_second == 0.2


@given(st.lists(st.tuples(st.integers(0, 100), st.floats(0.0, 100.0), st.floats(0.0, 120.0) | st.none()), max_size=40))
def test_no_load_brings_it_out_of_its_bounds(loads: list[tuple[int, float, float | None]]) -> None:
    budget = RateBudget(Limits(10.0, max_cpu_percent=20.0, max_temperature_c=70.0))
    for frames, percent, temperature_c in loads:
        budget.look(Load(4.0, frames, frames * 0.01, percent, temperature_c))
        assert FLOOR <= budget.frames_per_second <= 10.0
        assert budget.limited_by != "none" or budget.frames_per_second == 10.0
