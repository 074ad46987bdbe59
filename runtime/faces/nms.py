"""Weighted non-maximum suppression: overlapping boxes of one face become their mean, weighted by score.

After MediaPipe's NonMaxSuppressionCalculator with algorithm WEIGHTED and intersection over union
(mediapipe/calculators/util/non_max_suppression_calculator.cc, Apache-2.0); the method is that of the BlazeFace paper
(Bazarevsky et al., 2019), section 3.3: it halves the jitter of boxes against keeping the best one alone.
"""

from __future__ import annotations

import numpy as np

from .overlap import Floats, overlap


def weighted_nms(boxes: Floats, scores: Floats, min_overlap: float) -> tuple[Floats, Floats]:
    """Merge the boxes that overlap the best one, and so on with the rest.

    Args:
        boxes: [N, 4] left, top, right, bottom, of positive size.
        scores: [N], > 0.
        min_overlap: above this intersection over union two boxes are taken for one face.

    Returns:
        Boxes [M, 4] and scores [M], best score first; each score is that of the best box merged.
    """
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes[order], scores[order]
    merged, best = [], []
    while scores.size:
        same = overlap(boxes[0], boxes) > min_overlap
        same[0] = True
        # np.average says the same in five times as long.
        weights = scores[same]
        merged.append(weights @ boxes[same] / weights.sum())
        best.append(scores[0])
        boxes, scores = boxes[~same], scores[~same]
    return np.array(merged).reshape(-1, 4), np.array(best)
