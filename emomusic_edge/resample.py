"""Antialiased resizing as Pillow does it, which OpenCV does not offer: the filter widens with the scale.

Weights follow Pillow's documented resampling (`Image.resize` with BILINEAR or BICUBIC): a triangle of support 1 or
Keys' cubic with a = -0.5 of support 2, stretched by the scale when shrinking, cut at the border and normalised; columns
first, rounded to eight bits, then rows. torchvision and CLIP's processor resize so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Filter = Literal["bilinear", "bicubic"]

# Outputs a block: each needs only the inputs under its filter, so that small blocks do a fraction of one dense product.
_BLOCK = 8
# OpenBLAS, which numpy's wheels carry, stays on the calling thread up to this many multiplications (its
# GEMM_MULTITHREAD_THRESHOLD). Its thread pool beside ONNX Runtime's made a resize of 640x480 take 300 ms instead of 3
# on two busy cores.
_MOST_MULTIPLICATIONS = 1 << 18


# OpenCV rounds halves to even, Pillow up: more than float32's last digits at 255, less than anybody sees.
_HALVES_UP = 2.0**-12


class Crop(NamedTuple):
    """What of a resized picture is wanted, in its pixels."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int


class _Block(NamedTuple):
    outputs: slice
    inputs: slice
    weights: NDArray[np.float32]


def resize_antialiased(
    image: NDArray[np.uint8], width_px: int, height_px: int, kind: Filter, crop: Crop | None = None
) -> NDArray[np.uint8]:
    """Resize a picture.

    Args:
        image: uint8 [H, W, 3].
        width_px: of the result.
        height_px: of the result.
        kind: the filter.
        crop: what of the result to work out; None for all of it.

    Returns:
        uint8 [crop.height_px, crop.width_px, 3], within one level of Pillow's.
    """
    height, width = image.shape[:2]
    left, top, wide, high = crop or Crop(0, 0, width_px, height_px)
    down: tuple[_Block, ...] = ()
    if height != height_px:
        down = _blocks(height, height_px, kind, top, high)
        # Rows that no wanted row looks at need not be worked on.
        first = down[0].inputs.start
        image = image[first : down[-1].inputs.stop]
        down = tuple(b._replace(inputs=slice(b.inputs.start - first, b.inputs.stop - first)) for b in down)
    else:
        image = image[top : top + high]
    if width != width_px:
        image = _transposed(_along_rows(_transposed(image), _blocks(width, width_px, kind, left, wide), wide))
    else:
        image = image[:, left : left + wide]
    return _along_rows(image, down, high) if down else np.ascontiguousarray(image)


def _transposed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.transpose(image), np.uint8)


def _along_rows(image: NDArray[np.uint8], blocks: tuple[_Block, ...], size: int) -> NDArray[np.uint8]:
    rows, *rest = image.shape
    flat = image.reshape(rows, -1)
    result = np.empty((size, flat.shape[1]), np.uint8)
    for outputs, inputs, weights in blocks:
        values = flat[inputs].astype(np.float32)
        mixed = np.empty((len(weights), values.shape[1]), np.float32)
        step = max(_MOST_MULTIPLICATIONS // weights.size, 1)
        for start in range(0, values.shape[1], step):
            np.matmul(weights, values[:, start : start + step], out=mixed[:, start : start + step])
        # Rounds and cuts off at 0 and 255 in one pass, where numpy takes three.
        cv2.addWeighted(mixed, 1.0, mixed, 0.0, _HALVES_UP, dst=result[outputs], dtype=cv2.CV_8U)
    return result.reshape(size, *rest)


@lru_cache(maxsize=32)
def _blocks(source: int, size: int, kind: Filter, begin: int, count: int) -> tuple[_Block, ...]:
    """The weights of `count` outputs from `begin` on, of `size`."""
    function, support = _FILTERS[kind]
    scale = source / size
    stretch = max(scale, 1.0)
    centres = (np.arange(size) + 0.5) * scale
    first = np.maximum((centres - support * stretch + 0.5).astype(int), 0)
    last = np.minimum((centres + support * stretch + 0.5).astype(int), source)
    blocks = []
    for start in range(begin, begin + count, _BLOCK):
        rows = slice(start, min(start + _BLOCK, begin + count))
        columns = slice(int(first[rows].min()), int(last[rows].max()))
        at = np.arange(columns.start, columns.stop)
        weights = function((at[None, :] + 0.5 - centres[rows, None]) / stretch)
        weights[(at < first[rows, None]) | (at >= last[rows, None])] = 0.0
        weights /= weights.sum(axis=1, keepdims=True)
        outputs = slice(rows.start - begin, rows.stop - begin)
        blocks.append(_Block(outputs, columns, weights.astype(np.float32)))
    return tuple(blocks)


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.5.
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


_FILTERS: dict[Filter, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
}
