"""OpenCV's Haar cascade, as OpenCV's own tutorial uses it; OpenCV 5 has none any more."""

from __future__ import annotations

from pathlib import Path

import cv2

from peers.inputs import read_inputs
from peers.worker import Peer, serve


def load(folder: Path) -> Peer:
    """The frontal face cascade that the wheel brings, all its parameters at their defaults."""
    frame = read_inputs(folder).frame
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def detect() -> object:
        return cascade.detectMultiScale(cv2.equalizeHist(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)))

    facts = {"haar_faces": len(detect()), "threads": {"OpenCV": cv2.getNumThreads()}}
    return Peer(f"opencv {cv2.__version__}", {"haar": detect}, facts)


if __name__ == "__main__":
    serve(load)
