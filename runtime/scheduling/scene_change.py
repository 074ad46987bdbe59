"""Whether a picture shows another scene than an earlier one: two tiny pictures compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import Image

Thumbnail: TypeAlias = NDArray[np.uint8]
"""uint8 [12, 16, 3]: the mean colour of each block of a picture."""

_COLUMNS, _ROWS = 16, 12
# A block's colour is the mean of 8 x 8 pixels of it: reading every pixel costs ten times as much on 640x480 and eighty
# times on 1920x1080, and 64 pixels bring a sensor's noise down to an eighth.
_SAMPLES_A_SIDE = 8


@dataclass(frozen=True, slots=True)
class ChangeRule:
    """The difference from which on a picture counts as changed, in levels of 255.

    Noise of a standing scene (nine pictures, sensor noise of sd 3 to 20 levels, JPEG of quality 60 or none) reached a
    mean of 1.5 and 8.0 in a block. A light 10 % brighter moved the mean by 5.7 to 12.5 on all but a black picture; a
    person of 80 x 120 px in 640 x 480 moved a block by 20 or more wherever they stood. benchmarks/scene_change.py
    prints it, docs/pacing.md has the table.

    Attributes:
        mean: over the whole picture.
        block: over the block that changed most.
    """

    mean: float = 4.0
    block: float = 16.0


@dataclass(frozen=True, slots=True)
class PictureDifference:
    """How far two pictures are apart: mean absolute difference over the colours, in levels, 0..255.

    Attributes:
        mean: over the whole picture.
        block: over the block that differs most; never less than `mean`.
    """

    mean: float
    block: float

    def exceeds(self, rule: ChangeRule) -> bool:
        """Whether it counts as a change."""
        return self.mean > rule.mean or self.block > rule.block


def thumbnail(image: Image) -> Thumbnail:
    """The tiny picture of a picture of any size; it does not tell the size."""
    size = (_COLUMNS * _SAMPLES_A_SIDE, _ROWS * _SAMPLES_A_SIDE)
    sampled = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.resize(sampled, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA), np.uint8)


def difference(before: Thumbnail, now: Thumbnail) -> PictureDifference:
    """Compare two thumbnails."""
    # By OpenCV throughout: numpy's reductions cost 0.08 ms here after a model has run, these 0.04.
    colours = cv2.absdiff(before, now).reshape(_COLUMNS * _ROWS, 3)
    blocks = cv2.reduce(colours, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
    return PictureDifference(cv2.mean(blocks)[0], cv2.minMaxLoc(blocks)[1])
