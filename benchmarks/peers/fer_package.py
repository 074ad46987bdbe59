"""The fer package as its users call it: its classifier on a face that is given, and Haar cascade and classifier."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import cv2
import tensorflow
from fer.fer import FER

from peers.inputs import read_inputs
from peers.worker import Peer, serve


def load(folder: Path) -> Peer:
    """Its defaults: a Haar cascade finds faces, a quantised mini-Xception in TensorFlow Lite judges them."""
    inputs = read_inputs(folder)
    detector = FER()
    crop = inputs.crop
    whole = [(0, 0, crop.shape[1], crop.shape[0])]
    return Peer(
        f"fer {importlib.metadata.version('fer')}, tensorflow {tensorflow.__version__}",
        {
            "fer_crop": lambda: detector.detect_emotions(crop, face_rectangles=whole),
            "fer_frame": lambda: detector.detect_emotions(inputs.frame),
        },
        {
            "fer_frame_faces": len(detector.detect_emotions(inputs.frame)),
            # 0: TensorFlow chooses. The package gives its TensorFlow Lite interpreter no number either.
            "threads": {
                "TensorFlow's setting": tensorflow.config.threading.get_intra_op_parallelism_threads(),
                "OpenCV": cv2.getNumThreads(),
            },
        },
    )


if __name__ == "__main__":
    serve(load)
