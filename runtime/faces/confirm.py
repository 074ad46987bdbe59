"""Faces only where one has been seen clearly: a high score to appear, a low one to stay.

A single threshold cannot serve both. At 0.5 the full-range BlazeFace sees the woman of the demo clip in 98 % of its
frames, and faces in 23 % of the frames of a cartoon title without any (scores up to 0.69); at 0.7 the title has none
and the woman is lost in 13 %. Two thresholds joined by overlap from frame to frame are Canny's hysteresis ("A
computational approach to edge detection", 1986), as ByteTrack uses it for boxes (Zhang et al., 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emomusic_edge.contracts import FaceBox, FaceDetector, Image

from .overlap import SAME_FACE, corners, overlap


@dataclass(frozen=True, slots=True)
class _Sighting:
    face: FaceBox
    frames_ago: int


class ConfirmedFaces:
    """A contracts.FaceDetector over another one; it remembers the last frames, so it is for one source in order."""

    def __init__(self, detector: FaceDetector, *, start_score: float = 0.75, memory_frames: int = 5) -> None:
        """Wrap a detector.

        Args:
            detector: tells faces down to the score that lets one stay (0.5).
            start_score: a face that was not there before must reach this, 0..1. Between 0.7 and 0.8 the clips that
                the default was chosen on show no difference worth the name.
            memory_frames: a face that is not found in this many frames must reach `start_score` again; half a second
                at ten frames a second.
        """
        self._detector = detector
        self._start_score = start_score
        self._memory_frames = memory_frames
        self._sightings: tuple[_Sighting, ...] = ()

    def detect(self, image: Image) -> Sequence[FaceBox]:
        """The confirmed faces, the best score first.

        Args:
            image: uint8 [H, W, 3] BGR, the next frame.

        Raises:
            ModelError: the detector failed.
        """
        faces = tuple(face for face in self._detector.detect(image) if self._is_confirmed(face))
        aged = (_Sighting(old.face, old.frames_ago + 1) for old in self._sightings if not _same(old.face, faces))
        self._sightings = (
            *(_Sighting(face, 1) for face in faces),
            *(old for old in aged if old.frames_ago <= self._memory_frames),
        )
        return faces

    def _is_confirmed(self, face: FaceBox) -> bool:
        return face.score >= self._start_score or _same(face, [known.face for known in self._sightings])


def _same(face: FaceBox, others: Sequence[FaceBox]) -> bool:
    return bool((overlap(corners([face])[0], corners(others)) >= SAME_FACE).any())
