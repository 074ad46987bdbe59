"""Which of several faces the room's affect is read from, and that it stays the same one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from emomusic_edge.contracts import FaceBox

from .overlap import SAME_FACE, corners, overlap


def prominence(face: FaceBox, width_px: int, height_px: int) -> float:
    """How much a face is the picture's subject: score x sqrt(area) x (0.7 + 0.3 centre proximity).

    Args:
        face: in pixels of the picture.
        width_px: of the picture.
        height_px: of the picture.

    Returns:
        0 or more, where area is the share of the picture and proximity falls from 1 in the middle to 0 in a corner
        (and below 0 outside). The rule is that of the project's architecture document, `_select_best_face`.
    """
    area = (face.width_px / width_px) * (face.height_px / height_px)
    distance = math.hypot(face.x_px + face.width_px / 2 - width_px / 2, face.y_px + face.height_px / 2 - height_px / 2)
    proximity = 1.0 - distance / math.hypot(width_px / 2, height_px / 2)
    return face.score * math.sqrt(area) * (0.7 + 0.3 * proximity)


class PrimaryFace:
    """Chooses the most prominent face and keeps to it until another is clearly more so."""

    def __init__(self, lead: float = 1.5) -> None:
        """Start without a history.

        Args:
            lead: how many times as prominent another face must be to take the place of the one chosen before; 1 gives
                the plain rule. Two faces whose scores tremble as the demo clip's does (0.5 to 0.94, a hand before the
                face now and then) changed places and back within a second 1.4 times in 20 s at a lead of 1.2, and
                never at 1.5.
        """
        self._lead = lead
        self._previous: FaceBox | None = None

    def choose(self, faces: Sequence[FaceBox], width_px: int, height_px: int) -> FaceBox | None:
        """The primary face of one frame.

        A frame without faces leaves the history as it is, so that a blink of the detector does not swap two people.

        Args:
            faces: those found, in pixels of the frame.
            width_px: of the frame.
            height_px: of the frame.

        Returns:
            One of `faces`; None when there are none.
        """
        if not faces:
            return None
        measures = [prominence(face, width_px, height_px) for face in faces]
        best = int(np.argmax(measures))
        kept = self._kept(faces)
        if kept is not None and measures[best] <= self._lead * measures[kept]:
            best = kept
        self._previous = faces[best]
        return faces[best]

    def _kept(self, faces: Sequence[FaceBox]) -> int | None:
        if self._previous is None:
            return None
        overlaps = overlap(corners([self._previous])[0], corners(faces))
        nearest = int(np.argmax(overlaps))
        return nearest if overlaps[nearest] >= SAME_FACE else None
