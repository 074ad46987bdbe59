"""MediaPipe's Python API for face detection, both of its models."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import cv2

from emomusic_edge.runtime.faces.mediapipe_detector import MediaPipeDetector
from peers.inputs import read_inputs
from peers.worker import Peer, serve


def load(folder: Path) -> Peer:
    """Its solutions API behind a few lines that turn its answer into boxes."""
    frame = read_inputs(folder).frame
    short, full = MediaPipeDetector("short"), MediaPipeDetector("full")
    return Peer(
        f"mediapipe {importlib.metadata.version('mediapipe')}",
        {"mediapipe_short": lambda: short.detect(frame), "mediapipe_full": lambda: full.detect(frame)},
        {
            "mediapipe_short_faces": len(short.detect(frame)),
            "mediapipe_full_faces": len(full.detect(frame)),
            # Its API neither takes nor tells a number for its own network.
            "threads": {"OpenCV": cv2.getNumThreads()},
        },
    )


if __name__ == "__main__":
    serve(load)
