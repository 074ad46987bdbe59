from __future__ import annotations

from typing import Any

import pytest

from emomusic_edge.export.from_tflite.convert import detector_graph
from emomusic_edge.export.starter.detector import FULL_RANGE, SHORT_RANGE, BlazeFaceVariant, detector_manifest
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.faces.blazeface import BlazeFace

# The scores below which MediaPipe's own graphs tell no face (face_detection_full_range and …_short_range).
MEDIAPIPE_MIN_SCORE = {"full": 0.6, "short": 0.5}
VARIANTS = {"full": FULL_RANGE, "short": SHORT_RANGE}


def made(material: Any, variant: BlazeFaceVariant, min_score: float) -> BlazeFace:
    content = material.file("mediapipe", variant.weights_file).read_bytes()
    engine = OrtEngine(detector_graph(content).SerializeToString(), name=variant.name)
    return BlazeFace(engine, detector_manifest(variant), min_score=min_score)


@pytest.fixture(scope="session")
def full_range(material: Any) -> BlazeFace:
    """The full-range detector at the default score."""
    return made(material, FULL_RANGE, 0.5)


@pytest.fixture(scope="session")
def as_mediapipe(material: Any) -> dict[str, BlazeFace]:
    """Both detectors at the scores that MediaPipe's graphs use."""
    return {name: made(material, variant, MEDIAPIPE_MIN_SCORE[name]) for name, variant in VARIANTS.items()}
