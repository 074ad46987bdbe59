"""When the scene model looks: at once at a change, within a second at all else; no estimate outlives its scene."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.contracts import AffectEstimate, Image, ValenceArousal
from emomusic_edge.runtime.scheduling import ScenePace

# Grey pictures; neighbours in the list differ by less than counts as a change, the others by more.
LEVELS = (100, 102, 104, 106, 180)
SCENES = [np.full((48, 64, 3), level, np.uint8) for level in LEVELS]


class PacedModel:
    """Asks the pace as the loop does; its answer names the picture that it looked at."""

    def __init__(self, max_age_s: float) -> None:
        self.pace = ScenePace(max_age_s=max_age_s)
        self.looked_at_s: list[float] = []

    def see(self, image: Image, now_s: float, *, fails: bool = False) -> AffectEstimate | None:
        standing = self.pace.standing(image, now_s)
        if standing is not None:
            return standing
        self.looked_at_s.append(now_s)
        estimate = None
        if not fails:
            estimate = AffectEstimate(
                "scene", ValenceArousal(image[0, 0, 0] / 100.0, 3.0), ValenceArousal(0.1, 0.1), 64
            )
        self.pace.looked(estimate, now_s)
        return estimate


def level_of(estimate: AffectEstimate) -> float:
    return estimate.mean.valence * 100.0


ways = st.lists(st.tuples(st.floats(0.005, 2.0), st.integers(0, len(SCENES) - 1)), min_size=1, max_size=60)


@given(ways, st.floats(0.05, 1.0), st.floats(0.0, 1e7))
def test_whatever_comes_is_seen_in_time(way: list[tuple[float, int]], max_age_s: float, start_s: float) -> None:
    model = PacedModel(max_age_s)
    now_s = start_s
    for gap_s, number in way:
        now_s += gap_s
        estimate = model.see(SCENES[number], now_s)
        assert estimate is not None
        assert abs(level_of(estimate) - LEVELS[number]) <= 4.0, "an estimate of another scene stood"
        assert estimate.age_s == pytest.approx(now_s - model.looked_at_s[-1], abs=1e-6)
        assert estimate.age_s <= max_age_s + 1e-6
        # the bound between two looks: the age, and the frame that was awaited
    frames_s = np.cumsum([start_s, *(gap_s for gap_s, _ in way)])[1:]
    widest_s = max(gap_s for gap_s, _ in way)
    looks_s = [*model.looked_at_s, float(frames_s[-1])]
    assert max(np.diff(looks_s), default=0.0) <= max_age_s + widest_s + 1e-6


@given(st.floats(0.02, 1.0), st.integers(2, 200))
def test_with_steady_frames_no_two_looks_lie_further_apart_than_the_bound(period_s: float, frames: int) -> None:
    model = PacedModel(1.0)
    for number in range(frames):
        model.see(SCENES[0], number * period_s)
    assert max(np.diff(model.looked_at_s), default=0.0) <= 1.0 + 1e-6
    assert len(model.looked_at_s) <= 1 + frames * period_s / max(1.0 - period_s, period_s) + 1


def test_a_cut_is_seen_in_the_very_next_frame() -> None:
    model = PacedModel(1.0)
    for tenth in range(20):
        model.see(SCENES[0], tenth / 10)
    assert model.looked_at_s == pytest.approx([0.0, 1.0])
    assert model.see(SCENES[-1], 2.0 - 1e-3).mean.valence == pytest.approx(1.8)
    assert model.see(SCENES[0], 2.1).mean.valence == pytest.approx(1.0)


def test_a_slow_drift_adds_up() -> None:
    """No two neighbouring frames differ by more than one level."""
    model = PacedModel(1.0)
    for number in range(60):
        image = np.full((48, 64, 3), 100 + number, np.uint8)
        estimate = model.see(image, number / 100)
        assert abs(level_of(estimate) - (100 + number)) <= 4.0 + 1e-9
    assert len(model.looked_at_s) > 10


def test_zero_looks_at_every_frame() -> None:
    model = PacedModel(0.0)
    for tenth in range(10):
        assert model.see(SCENES[0], tenth / 10).age_s == 0.0
    assert len(model.looked_at_s) == 10


def test_a_failure_forgets_the_old_estimate_and_is_tried_again_at_once() -> None:
    model = PacedModel(1.0)
    model.see(SCENES[0], 0.0)
    assert model.see(SCENES[-1], 0.1, fails=True) is None
    assert model.see(SCENES[0], 0.2, fails=True) is None
    assert model.see(SCENES[0], 0.3).age_s == 0.0
    assert len(model.looked_at_s) == 4


def test_an_interruption_forgets() -> None:
    model = PacedModel(1.0)
    model.see(SCENES[0], 0.0)
    model.pace.forget()
    assert model.see(SCENES[0], 0.1).age_s == 0.0
    assert len(model.looked_at_s) == 2


def test_time_that_goes_back_is_no_reason_to_trust() -> None:
    model = PacedModel(1.0)
    model.see(SCENES[0], 50.0)
    model.see(SCENES[0], 50.1)
    assert model.see(SCENES[0], 3.0).age_s == 0.0


def test_the_same_frames_give_the_same_looks() -> None:
    way = [(number % 7 / 30 + 0.01, SCENES[number % 3]) for number in range(200)]

    def looks() -> list[float]:
        model, now_s = PacedModel(1.0), 0.0
        for gap_s, image in way:
            now_s += gap_s
            model.see(image, now_s)
        return model.looked_at_s

    assert looks() == looks()
