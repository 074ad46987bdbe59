"""How much boxes overlap, and from when on two of them are taken for one face."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import FaceBox

Floats = NDArray[np.floating]

# min_suppression_threshold of MediaPipe's face detection graphs: boxes that overlap more are one face. Two faces that
# a detector tells apart therefore overlap less, and the same face moves by less than this from frame to frame.
SAME_FACE = 0.3


def corners(faces: Iterable[FaceBox]) -> Floats:
    """Boxes as an array [N, 4]: left, top, right, bottom, in pixels."""
    rows = [(f.x_px, f.y_px, f.x_px + f.width_px, f.y_px + f.height_px) for f in faces]
    return np.array(rows, np.float64).reshape(-1, 4)


def overlap(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one box with many.

    Args:
        box: [4] left, top, right, bottom.
        boxes: [N, 4].

    Returns:
        [N], 0..1; 0 where both are empty.
    """
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    sides = np.maximum(sides, 0.0)
    # np.prod says the same in 1.4 times as long; for a dozen boxes the calls are all there is.
    shared = sides[:, 0] * sides[:, 1]
    wide, high = (boxes[:, 2:] - boxes[:, :2]).T
    union = wide * high + (box[2] - box[0]) * (box[3] - box[1]) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))
