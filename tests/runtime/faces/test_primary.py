from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.contracts import FaceBox
from emomusic_edge.runtime.faces.primary import PrimaryFace, prominence

WIDTH, HEIGHT = 640, 360


def documents_choice(faces: list[FaceBox]) -> FaceBox:
    """The architecture document's `_select_best_face`, which counts in shares of the picture."""
    centre = np.array([WIDTH / 2, HEIGHT / 2])
    best, best_score = faces[0], -1.0
    for face in faces:
        x, y, w, h = face.x_px / WIDTH, face.y_px / HEIGHT, face.width_px / WIDTH, face.height_px / HEIGHT
        face_centre = np.array([x + w / 2, y + h / 2]) * np.array([WIDTH, HEIGHT])
        proximity = 1 - np.linalg.norm(face_centre - centre) / np.linalg.norm(centre)
        score = face.score * np.sqrt(w * h) * (0.7 + 0.3 * proximity)
        if score > best_score:
            best, best_score = face, score
    return best


faces_in_view = st.lists(
    st.builds(
        FaceBox,
        x_px=st.floats(-40, 600),
        y_px=st.floats(-40, 330),
        width_px=st.floats(5, 300),
        height_px=st.floats(5, 300),
        score=st.floats(0.5, 1),
    ),
    min_size=1,
    max_size=6,
)


@given(faces_in_view)
def test_without_a_history_the_documents_rule_decides(faces: list[FaceBox]) -> None:
    found = PrimaryFace().choose(faces, WIDTH, HEIGHT)
    assert found is not None
    # Equal but for rounding counts as equal.
    assert prominence(found, WIDTH, HEIGHT) == pytest.approx(prominence(documents_choice(faces), WIDTH, HEIGHT))


@given(st.lists(faces_in_view, min_size=2, max_size=5))
def test_a_lead_of_one_is_the_plain_rule_at_every_frame(frames: list[list[FaceBox]]) -> None:
    primary = PrimaryFace(lead=1.0)
    for faces in frames:
        found = primary.choose(faces, WIDTH, HEIGHT)
        assert found is not None
        assert prominence(found, WIDTH, HEIGHT) == pytest.approx(prominence(documents_choice(faces), WIDTH, HEIGHT))


def jittered(x: float, draw: tuple[float, float, float, float], size: float = 80) -> FaceBox:
    """A face about (x, 180) whose place, size (by 6 %) and score (by 8 %) tremble."""
    dx, dy, ds, dp = draw
    size *= 1 + 0.06 * ds
    return FaceBox(x - size / 2 + 3 * dx, 180 - size / 2 + 3 * dy, size, size, 0.9 * (1 + 0.08 * dp))


tremble = st.tuples(*[st.floats(-1, 1)] * 4)


@given(st.lists(st.tuples(tremble, tremble, st.booleans()), min_size=2, max_size=40))
def test_two_equal_faces_never_flicker(
    frames: list[tuple[tuple[float, float, float, float], tuple[float, float, float, float], bool]],
) -> None:
    primary = PrimaryFace()
    sides = set()
    for left_draw, right_draw, swapped in frames:
        pair = [jittered(220, left_draw), jittered(420, right_draw)]
        found = primary.choose(pair[::-1] if swapped else pair, WIDTH, HEIGHT)
        assert found is not None
        sides.add(found.x_px < WIDTH / 2 - 40)
    assert len(sides) == 1


@given(tremble, tremble, st.floats(2.2, 3))
def test_a_clearly_larger_face_takes_over_at_once(
    first: tuple[float, float, float, float], second: tuple[float, float, float, float], times: float
) -> None:
    primary = PrimaryFace()
    assert primary.choose([jittered(220, first)], WIDTH, HEIGHT) is not None
    newcomer = jittered(420, second, 80 * times)
    assert primary.choose([jittered(220, first), newcomer], WIDTH, HEIGHT) is newcomer


def test_a_frame_without_faces_does_not_swap_two_people() -> None:
    primary = PrimaryFace()
    left, right = FaceBox(100, 100, 80, 80, 0.90), FaceBox(460, 100, 80, 80, 0.91)
    assert primary.choose([left], WIDTH, HEIGHT) is left
    assert primary.choose([], WIDTH, HEIGHT) is None
    assert primary.choose([left, right], WIDTH, HEIGHT) is left


def test_when_the_chosen_face_leaves_the_best_of_the_rest_follows() -> None:
    primary = PrimaryFace()
    gone = FaceBox(100, 100, 120, 120, 0.9)
    small, large = FaceBox(400, 100, 40, 40, 0.9), FaceBox(500, 100, 60, 60, 0.9)
    assert primary.choose([gone, small, large], WIDTH, HEIGHT) is gone
    assert primary.choose([small, large], WIDTH, HEIGHT) is large


def test_prominence_by_hand() -> None:
    # A quarter of the picture each way, in the middle: 0.8 * sqrt(1 / 16) * 1.
    centred = FaceBox(WIDTH * 3 / 8, HEIGHT * 3 / 8, WIDTH / 4, HEIGHT / 4, 0.8)
    assert prominence(centred, WIDTH, HEIGHT) == pytest.approx(0.2)
    # The same face about a corner: proximity 0.
    corner = FaceBox(-WIDTH / 8, -HEIGHT / 8, WIDTH / 4, HEIGHT / 4, 0.8)
    assert prominence(corner, WIDTH, HEIGHT) == pytest.approx(0.2 * 0.7)
    assert math.isclose(
        prominence(corner, WIDTH, HEIGHT) * 2,
        prominence(FaceBox(-WIDTH / 4, -HEIGHT / 4, WIDTH / 2, HEIGHT / 2, 0.8), WIDTH, HEIGHT),
    )
