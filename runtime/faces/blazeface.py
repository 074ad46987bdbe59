"""MediaPipe's BlazeFace as an ONNX bundle: anchors decoded, overlapping boxes merged, the letterbox undone.

After MediaPipe's TensorsToDetectionsCalculator and its face detection graphs (mediapipe/calculators/tensor and
mediapipe/modules/face_detection/face_detection_full_range.pbtxt, Apache-2.0). The model: Bazarevsky et al., "BlazeFace:
Sub-millisecond Neural Face Detection on Mobile GPUs", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from emomusic_edge.contracts import FaceBox, Image, InferenceEngine
from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import Manifest
from emomusic_edge.preprocess import placement, prepare

from .anchors import anchor_centres
from .nms import weighted_nms
from .overlap import SAME_FACE


class BlazeFace:
    """A contracts.FaceDetector."""

    def __init__(self, engine: InferenceEngine, manifest: Manifest, *, min_score: float = 0.5) -> None:
        """Take a loaded detector bundle.

        Args:
            engine: runs the bundle's graph.
            manifest: of the same bundle.
            min_score: faces below this confidence are not told, 0..1. MediaPipe's own graphs take 0.6 for the
                full-range model and 0.5 for the short-range one.

        Raises:
            ModelError: the bundle is no detector.
        """
        if manifest.anchors is None:
            raise ModelError(f"Model {manifest.name} is of kind {manifest.kind}, a detector is expected.")
        self._engine = engine
        self._name = manifest.name
        self._spec = manifest.image
        self._anchors = anchor_centres(manifest.image.width_px, manifest.image.height_px, manifest.anchors)
        self._clip = manifest.anchors.score_clipping
        self._min_logit = _logit(min_score)

    @property
    def provider(self) -> str:
        """What the engine truly runs on."""
        return self._engine.provider

    def detect(self, image: Image) -> Sequence[FaceBox]:
        """All faces, the best score first.

        Args:
            image: uint8 [H, W, 3] BGR of any size.

        Raises:
            ModelError: the engine failed, gave scores that are not finite, or as many boxes as the manifest's anchors
                do not explain.
        """
        outputs = self._engine.run({"image": prepare(image, self._spec)})
        boxes, logits = (np.asarray(outputs[name], np.float32) for name in ("boxes", "scores"))
        count = len(self._anchors)
        if boxes.shape != (1, count, 16) or logits.shape != (1, count, 1):
            raise ModelError(
                f"Model {self._name} gave boxes {list(boxes.shape)} and scores {list(logits.shape)}; its manifest's "
                f"anchors ask for [1, {count}, 16] and [1, {count}, 1]."
            )
        # A NaN would be no face and an infinity a sure one, and nobody would hear of either.
        if not np.isfinite(logits).all():
            raise ModelError(f"Model {self._name} gave scores that are not finite; no face is made of them")
        # Nearly all anchors fall away before anything is computed of them.
        found = np.flatnonzero(logits[0, :, 0] >= self._min_logit)
        if not found.size:
            return ()
        centre, half = boxes[0, found, 0:2] + self._anchors[found], boxes[0, found, 2:4] / 2
        sound = np.isfinite(centre).all(axis=1) & (half > 0).all(axis=1) & np.isfinite(half).all(axis=1)
        corners = np.concatenate([centre - half, centre + half], axis=1)[sound]
        scores = 1.0 / (1.0 + np.exp(-np.minimum(logits[0, found, 0][sound], self._clip)))
        where = placement(image.shape[1], image.shape[0], self._spec)
        merged, best = weighted_nms(corners, scores, SAME_FACE)
        return tuple(
            where.box_in_picture(left, top, right, bottom, score)
            for (left, top, right, bottom), score in zip(merged.tolist(), best.tolist(), strict=True)
        )


def _logit(score: float) -> float:
    if not 0.0 < score < 1.0:
        return -math.inf if score <= 0.0 else math.inf
    return math.log(score / (1.0 - score))
