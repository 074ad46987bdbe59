"""hsemotion-onnx's EfficientNet-B0: one pass, eight classes, no uncertainty, its own preprocessing."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import cv2
from hsemotion_onnx import facial_emotions

from peers.inputs import EFFICIENTNET_GRAPH, read_inputs
from peers.worker import Peer, native_threads, serve

# The package's default.
MODEL = "enet_b0_8_best_vgaf"


def load(folder: Path) -> Peer:
    """The package's own recogniser; its weights where a user has them, else the same network with random ones."""
    inputs = read_inputs(folder)
    own = Path.home() / ".hsemotion" / f"{MODEL}.onnx"
    made = folder / EFFICIENTNET_GRAPH
    if not own.is_file():
        if not made.is_file():
            raise FileNotFoundError(f"neither {own.name} nor a network with random weights is there")
        # It would ask a code forge for the weights.
        facial_emotions.get_model_path = lambda name: str(made)
    # The package gives ONNX Runtime no number of threads: its pool is counted, and the caller with it.
    before = native_threads()
    recogniser = facial_emotions.HSEmotionRecognizer(MODEL)
    threads = {"ONNX Runtime": native_threads() - before + 1, "OpenCV": cv2.getNumThreads()}
    face = cv2.cvtColor(inputs.crop, cv2.COLOR_BGR2RGB)
    version = importlib.metadata.version("hsemotion-onnx")
    runtime = importlib.metadata.version("onnxruntime")
    weights = "its own weights" if own.is_file() else "random weights"
    return Peer(
        f"hsemotion-onnx {version}, onnxruntime {runtime}, {weights}",
        {"hsemotion": lambda: recogniser.predict_emotions(face, logits=True)},
        {"threads": threads},
    )


if __name__ == "__main__":
    serve(load)
