from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emomusic_edge.runtime.faces.nms import weighted_nms
from emomusic_edge.runtime.faces.overlap import overlap


def plain_nms(boxes: list[list[float]], scores: list[float], bound: float) -> list[tuple[list[float], float]]:
    """The description of MediaPipe's weighted algorithm, followed word by word without numpy."""
    left = sorted(zip(scores, boxes, strict=True), key=lambda pair: -pair[0])
    found = []
    while left:
        top_score, top = left[0]
        same = [pair for pair in left if iou(top, pair[1]) > bound]
        left = [pair for pair in left if iou(top, pair[1]) <= bound]
        total = sum(score for score, _ in same)
        found.append(([sum(score * box[i] for score, box in same) / total for i in range(4)], top_score))
    return found


def iou(a: list[float], b: list[float]) -> float:
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(across, 0) * max(down, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@st.composite
def detections(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    count = draw(st.integers(0, 12))
    corner = draw(arrays(np.float64, (count, 2), elements=st.floats(0, 60)))
    size = draw(arrays(np.float64, (count, 2), elements=st.floats(1, 40)))
    scores = draw(arrays(np.float64, count, elements=st.floats(0.01, 1), unique=True))
    return np.concatenate([corner, corner + size], axis=1), scores


@given(detections(), st.sampled_from([0.1, 0.3, 0.7]))
def test_equals_the_plain_description(found: tuple[np.ndarray, np.ndarray], bound: float) -> None:
    boxes, scores = found
    merged, best = weighted_nms(boxes, scores, bound)
    expected = plain_nms(boxes.tolist(), scores.tolist(), bound)
    assert len(merged) == len(best) == len(expected)
    for box, score, (wanted_box, wanted_score) in zip(merged, best, expected, strict=True):
        np.testing.assert_allclose(box, wanted_box, rtol=1e-9)
        assert score == wanted_score


@given(detections())
def test_scores_fall_and_every_box_is_accounted_for(found: tuple[np.ndarray, np.ndarray]) -> None:
    boxes, scores = found
    merged, best = weighted_nms(boxes, scores, 0.3)
    assert (np.diff(best) <= 0).all()
    assert set(best) <= set(scores)
    assert (len(merged) > 0) == (len(boxes) > 0)
    if len(boxes):
        assert (merged[:, :2] >= boxes[:, :2].min(axis=0) - 1e-9).all()
        assert (merged[:, 2:] <= boxes[:, 2:].max(axis=0) + 1e-9).all()


def test_two_views_of_one_face_become_their_weighted_mean() -> None:
    merged, best = weighted_nms(
        np.array([[0.0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]]), np.array([0.3, 0.9, 0.5]), 0.3
    )
    np.testing.assert_allclose(merged, [[1.5, 0, 11.5, 10], [50, 50, 60, 60]])
    assert best.tolist() == [0.9, 0.5]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 10, 10), 1.0),
        ((5, 0, 15, 10), 1 / 3),
        ((10, 0, 20, 10), 0.0),
        ((30, 30, 31, 31), 0.0),
        ((2, 2, 4, 4), 0.04),
    ],
)
def test_overlap(other: tuple[float, ...], expected: float) -> None:
    assert overlap(np.array([0.0, 0, 10, 10]), np.array([other], float))[0] == pytest.approx(expected)
