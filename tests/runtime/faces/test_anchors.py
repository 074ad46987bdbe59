from __future__ import annotations

import math

import numpy as np
import pytest

from emomusic_edge.manifest import AnchorOptions
from emomusic_edge.runtime.faces.anchors import anchor_centres

FULL = (192, 192, AnchorOptions(strides=(4,), interpolated_scale_aspect_ratio=0.0))
SHORT = (128, 128, AnchorOptions(strides=(8, 16, 16, 16), interpolated_scale_aspect_ratio=1.0))


def plain_anchors(width_px: int, height_px: int, options: AnchorOptions) -> list[tuple[float, float]]:
    """MediaPipe's nested loops: layers of one stride together; cell by cell, then anchor by anchor."""
    found, layer = [], 0
    while layer < len(options.strides):
        stride, a_cell = options.strides[layer], 0
        while layer < len(options.strides) and options.strides[layer] == stride:
            a_cell += 2 if options.interpolated_scale_aspect_ratio > 0 else 1
            layer += 1
        rows, columns = math.ceil(height_px / stride), math.ceil(width_px / stride)
        for row in range(rows):
            for column in range(columns):
                found += [((column + 0.5) / columns * width_px, (row + 0.5) / rows * height_px)] * a_cell
    return found


@pytest.mark.parametrize(
    ("width_px", "height_px", "options", "count"),
    [
        (*FULL, 2304),
        (*SHORT, 896),
        (100, 60, AnchorOptions(strides=(8, 16, 8), interpolated_scale_aspect_ratio=1.0), 2 * 13 * 8 * 2 + 7 * 4 * 2),
    ],
)
def test_anchors_are_mediapipes(width_px: int, height_px: int, options: AnchorOptions, count: int) -> None:
    found = anchor_centres(width_px, height_px, options)
    assert found.shape == (count, 2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plain_anchors(width_px, height_px, options), rtol=1e-6)
