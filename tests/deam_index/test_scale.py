"""A stated scale is read, and bounds go to bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.deam_index.scale import RatingScale, parse_scale
from emomusic_edge.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("1..9", (1, 1), (9, 9)),
        ("-1..1", (-1, -1), (1, 1)),
        ("-3..3,0..6", (-3, 0), (3, 6)),
        (" 0 .. 1 , -0.5..+0.5", (0, -0.5), (1, 0.5)),
    ],
)
def test_a_scale_is_read(text: str, low: tuple[float, float], high: tuple[float, float]) -> None:
    assert parse_scale(text) == RatingScale(low, high)
    assert parse_scale(str(parse_scale(text))) == RatingScale(low, high)


@pytest.mark.parametrize(
    "text", ["", "9", "1-9", "9..1", "1..1", "1..9,2", "1..2,3..4,5..6", "a..b", "nan..1", "1..9,"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse_scale(text)
    assert "--scale 1..9" in told.value.mend


@given(st.floats(-100, 100), st.floats(0.5, 100), st.floats(0, 1))
def test_bounds_to_bounds(low: float, width: float, share: float) -> None:
    scale = RatingScale((low, low), (low + width, low + width))
    assert scale.to_music(0, low) == -1.0
    assert scale.to_music(1, low + width) == pytest.approx(1.0)
    assert scale.to_music(0, low + share * width) == pytest.approx(2 * share - 1, abs=1e-9)
