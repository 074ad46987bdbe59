"""The grid of anchors that a BlazeFace model's boxes are relative to.

After MediaPipe's SsdAnchorsCalculator (mediapipe/calculators/tflite/ssd_anchors_calculator.cc, Apache-2.0) with
anchors of fixed size 1, one aspect ratio and offset 0.5, as its face detection graphs set it.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.manifest import AnchorOptions


def anchor_centres(width_px: int, height_px: int, options: AnchorOptions) -> NDArray[np.float32]:
    """Centres of all anchors, in pixels of the model's input.

    Every layer puts an anchor at the centre of each cell of its stride, and a second one when
    `interpolated_scale_aspect_ratio` is above 0; neighbouring layers of one stride share a grid.

    Args:
        width_px: of the model's input.
        height_px: of the model's input.
        options: from the manifest.

    Returns:
        float32 [N, 2], x and y, row by row.
    """
    a_layer = 2 if options.interpolated_scale_aspect_ratio > 0 else 1
    grids = []
    for stride, layers in groupby(options.strides):
        columns, rows = -(-width_px // stride), -(-height_px // stride)
        x = (np.arange(columns) + 0.5) * (width_px / columns)
        y = (np.arange(rows) + 0.5) * (height_px / rows)
        grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        grids.append(np.repeat(grid, a_layer * len(list(layers)), axis=0))
    return np.concatenate(grids).astype(np.float32)
