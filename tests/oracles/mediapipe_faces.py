"""Faces as MediaPipe finds them, as JSON. Run by tests with the Python of an environment that holds mediapipe.

Usage: mediapipe_faces.py {full,short} MIN_SCORE EVERY PATH...

For each picture or video: {"path": …, "frames": [{"seq": …, "ms": …, "faces": [[x, y, width, height, score], …]}]},
every EVERYth frame of a video.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from emomusic_edge.runtime.faces.mediapipe_detector import MediaPipeDetector

PICTURES = (".jpg", ".jpeg", ".png")


def frames_of(path: Path) -> Iterator[np.ndarray]:
    if path.suffix.lower() in PICTURES:
        picture = cv2.imread(str(path))
        assert picture is not None, path
        yield picture
        return
    video = cv2.VideoCapture(str(path))
    while True:
        more, frame = video.read()
        if not more:
            break
        yield frame
    video.release()


def main() -> None:
    model, min_score, every, *paths = sys.argv[1:]
    detector = MediaPipeDetector("full" if model == "full" else "short", min_score=float(min_score))
    report = []
    for path in paths:
        frames = []
        for seq, image in enumerate(frames_of(Path(path))):
            if seq % int(every):
                continue
            before_s = time.perf_counter()
            faces = detector.detect(image)
            spent_ms = (time.perf_counter() - before_s) * 1e3
            boxes = [[f.x_px, f.y_px, f.width_px, f.height_px, f.score] for f in faces]
            frames.append({"seq": seq, "ms": spent_ms, "faces": boxes})
        report.append({"path": path, "frames": frames})
    detector.close()
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
