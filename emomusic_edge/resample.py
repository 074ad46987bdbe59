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


class _Block(NamedTuple):
    outputs: slice
    inputs: slice
    weights: NDArray[np.float32]


def resize_antialiased(image: NDArray[np.uint8], width_px: int, height_px: int, kind: Filter) -> NDArray[np.uint8]:
    """Resize a picture.

    Args:
        image: uint8 [H, W, 3].
        width_px: of the result.
        height_px: of the result.
        kind: the filter.

    Returns:
        uint8 [height_px, width_px, 3], within one level of Pillow's.
    """
    height, width = image.shape[:2]
    if width != width_px:
        image = _transposed(_along_rows(_transposed(image), width_px, kind))
    if height != height_px:
        image = _along_rows(image, height_px, kind)
    return image


def _transposed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.transpose(image), np.uint8)


def _along_rows(image: NDArray[np.uint8], size: int, kind: Filter) -> NDArray[np.uint8]:
    rows, *rest = image.shape
    flat = image.reshape(rows, -1)
    result = np.empty((size, flat.shape[1]), np.uint8)
    for outputs, inputs, weights in _blocks(rows, size, kind):
        values = flat[inputs].astype(np.float32)
        mixed = np.empty((len(weights), values.shape[1]), np.float32)
        step = max(_MOST_MULTIPLICATIONS // weights.size, 1)
        for start in range(0, values.shape[1], step):
            np.matmul(weights, values[:, start : start + step], out=mixed[:, start : start + step])
        mixed += 0.5
        np.clip(mixed, 0, 255, out=mixed)
        result[outputs] = mixed
    return result.reshape(size, *rest)


@lru_cache(maxsize=32)
def _blocks(source: int, size: int, kind: Filter) -> tuple[_Block, ...]:
    function, support = _FILTERS[kind]
    scale = source / size
    stretch = max(scale, 1.0)
    centres = (np.arange(size) + 0.5) * scale
    first = np.maximum((centres - support * stretch + 0.5).astype(int), 0)
    last = np.minimum((centres + support * stretch + 0.5).astype(int), source)
    blocks = []
    for start in range(0, size, _BLOCK):
        rows = slice(start, min(start + _BLOCK, size))
        columns = slice(int(first[rows].min()), int(last[rows].max()))
        at = np.arange(columns.start, columns.stop)
        weights = function((at[None, :] + 0.5 - centres[rows, None]) / stretch)
        weights[(at < first[rows, None]) | (at >= last[rows, None])] = 0.0
        weights /= weights.sum(axis=1, keepdims=True)
        blocks.append(_Block(rows, columns, weights.astype(np.float32)))
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
