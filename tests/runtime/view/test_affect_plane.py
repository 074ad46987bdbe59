"""The valence-arousal plane in characters."""

from __future__ import annotations

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.runtime.view.affect_plane import affect_plane


def test_the_path_of_guide_is_drawn_from_its_start_to_the_goal() -> None:
    points = tuple(ValenceArousal(-2.0 + place, 1.0 + place) for place in range(4))
    plane = affect_plane(None, ValenceArousal(0.0, 0.0), path=(points, 1), target=points[1]).plain
    assert (plane.count("∙"), plane.count("·"), plane.count("◆"), plane.count("◇")) == (1, 1, 1, 1)
    assert "◆" not in affect_plane(None, ValenceArousal(0.0, 0.0)).plain
