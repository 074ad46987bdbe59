"""Pictures from integers alone, the same on every machine: what recorded answers are answers to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def made_picture(number: int, height_px: int, width_px: int) -> NDArray[np.uint8]:
    """A bright disc on a gradient, coloured by `number`.

    Returns:
        uint8 [1, H, W, 3].
    """
    y, x = np.mgrid[0:height_px, 0:width_px]
    disc = (x - width_px // 2) ** 2 + (y - height_px // 2) ** 2 < (min(height_px, width_px) // (3 + number)) ** 2
    channels = [
        (x * (3 + number) * 255 // (width_px * (2 + number)) + y * (channel + 1) + 90 * disc) % 256
        for channel in range(3)
    ]
    return np.stack(channels, axis=-1)[None].astype(np.uint8)
