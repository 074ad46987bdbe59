from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.affect import DEAM, FINDINGEMO, MOOD_LABELS, NEUTRAL, RUSSELL_1980, AffectScale, mood_label
from emomusic_edge.contracts import ValenceArousal

anywhere = st.builds(ValenceArousal, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))


@pytest.mark.parametrize(
    ("point", "label"),
    [
        ((2.5, 3.0), "pleasure"),
        ((2.0, 5.0), "excitement"),
        ((0.0, 5.5), "arousal"),
        ((-2.0, 5.0), "distress"),
        ((-2.5, 3.0), "misery"),
        ((-2.0, 1.0), "depression"),
        ((0.0, 0.5), "sleepiness"),
        ((2.0, 1.0), "contentment"),
        ((0.0, 3.0), NEUTRAL),
        # the starter model's neutral face
        ((0.0, 2.0), NEUTRAL),
    ],
)
def test_russells_concepts_lie_where_russell_has_them(point: tuple[float, float], label: str) -> None:
    assert mood_label(ValenceArousal(*point)) == label


@given(st.floats(0, 2 * math.pi), st.floats(1.01, 3))
def test_the_label_is_that_of_the_nearest_direction(angle: float, radius: float) -> None:
    label = mood_label(ValenceArousal(radius * math.cos(angle), 3 + radius * math.sin(angle)))
    off = [abs((angle - k * math.pi / 4 + math.pi) % (2 * math.pi) - math.pi) for k in range(8)]
    assert off[RUSSELL_1980.index(label)] == pytest.approx(min(off), abs=1e-6)


@given(anywhere)
def test_every_point_has_a_label(point: ValenceArousal) -> None:
    assert mood_label(point) in MOOD_LABELS


@pytest.mark.parametrize("scale", [FINDINGEMO, DEAM], ids=lambda scale: scale.name)
@given(point=anywhere)
def test_clipping_ends_within_the_scale_and_moves_nothing_that_is(scale: AffectScale, point: ValenceArousal) -> None:
    clipped = scale.clip(point)
    assert scale.contains(clipped)
    assert not scale.contains(point) or clipped == point


def test_nan_is_not_on_a_scale() -> None:
    assert not FINDINGEMO.contains(ValenceArousal(math.nan, 3))
