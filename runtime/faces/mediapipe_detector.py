"""MediaPipe's own face detector, for those who have it installed; the oracle of the ONNX one's test.

Imports only numpy, OpenCV and (when one is made) mediapipe, so that it runs in an environment that holds nothing else
of this package's needs: mediapipe 0.10.18 pins a protobuf that onnx cannot share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2

from emomusic_edge.contracts import FaceBox, Image
from emomusic_edge.errors import MissingExtraError

# MediaPipe's numbers for its two models.
_MODEL_SELECTION = {"short": 0, "full": 1}


class MediaPipeDetector:
    """A contracts.FaceDetector."""

    def __init__(self, model: Literal["full", "short"] = "full", *, min_score: float = 0.5) -> None:
        """Load MediaPipe and one of its models.

        Args:
            model: `full` range (up to 5 m) or `short` range (up to 2 m).
            min_score: faces below this confidence are not told; 0..1. MediaPipe itself tells none below 0.6 (`full`)
                or 0.5 (`short`), whatever it is asked: 0.10.18 takes no notice of its `min_detection_confidence`.

        Raises:
            MissingExtraError: mediapipe is not installed, or is a release without `solutions`.
        """
        # Beside a protobuf that it does not know, mediapipe fails in other ways than by ImportError.
        try:
            from mediapipe.python.solutions.face_detection import FaceDetection
        except (ImportError, AttributeError, TypeError) as cause:
            raise MissingExtraError(
                f"The mediapipe face detector needs mediapipe 0.10.18, which does not import: {cause}.",
                mend="pip install --no-deps mediapipe==0.10.18; pip install absl-py attrs flatbuffers matplotlib "
                "'protobuf<5'; or set the detector to blazeface-full, which needs none of it",
            ) from cause
        self._min_score = min_score
        self._detection = FaceDetection(min_detection_confidence=min_score, model_selection=_MODEL_SELECTION[model])

    def detect(self, image: Image) -> Sequence[FaceBox]:
        """All faces, the best score first.

        Args:
            image: uint8 [H, W, 3] BGR of any size.
        """
        height, width = image.shape[:2]
        found = self._detection.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).detections or ()
        faces = [
            FaceBox(box.xmin * width, box.ymin * height, box.width * width, box.height * height, detection.score[0])
            for detection in found
            for box in (detection.location_data.relative_bounding_box,)
        ]
        return sorted((face for face in faces if face.score >= self._min_score), key=lambda face: -face.score)

    def close(self) -> None:
        """Let go of MediaPipe's graph."""
        self._detection.close()
