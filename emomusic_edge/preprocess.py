"""A picture becomes a model's `image` input, by the rules of its manifest; both export and runtime do it here.

Only geometry and colour order happen on the host; normalisation lives in the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import FaceBox, Image
from emomusic_edge.manifest import ImageInput
from emomusic_edge.resample import Crop, Filter, resize_antialiased


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies in the input tensor: input = picture * scale + offset, in pixels from the upper left edge.

    Attributes:
        scale_x: input pixels per picture pixel across.
        scale_y: and down.
        offset_x_px: input pixel at which the picture's left edge lies; negative where it is cut off.
        offset_y_px: and its upper edge.
    """

    scale_x: float
    scale_y: float
    offset_x_px: float
    offset_y_px: float

    def box_in_picture(self, left_px: float, top_px: float, right_px: float, bottom_px: float, score: float) -> FaceBox:
        """A box given in pixels of the input tensor, in pixels of the picture."""
        x = (left_px - self.offset_x_px) / self.scale_x
        y = (top_px - self.offset_y_px) / self.scale_y
        width = (right_px - left_px) / self.scale_x
        height = (bottom_px - top_px) / self.scale_y
        return FaceBox(x, y, width, height, score)


def placement(width_px: int, height_px: int, spec: ImageInput) -> Placement:
    """Where `prepare` puts a picture of this size.

    The middle of a picture that is cut, or of the black around one that is letterboxed, falls on whole pixels, except
    for `warp`, which has no need to. An odd pixel is cut on the right and below, or as the manifest's crop says.
    """
    if spec.crop == "none":
        return Placement(spec.width_px / width_px, spec.height_px / height_px, 0.0, 0.0)
    fitting = min if spec.crop == "letterbox" else max
    scale = fitting(spec.width_px / width_px, spec.height_px / height_px)
    if spec.resize == "warp":
        return Placement(scale, scale, (spec.width_px - width_px * scale) / 2, (spec.height_px - height_px * scale) / 2)
    # The epsilon keeps 0.35 * 640 from becoming 223.
    width, height = (max(int(side * scale + 1e-6), 1) for side in (width_px, height_px))
    if spec.crop == "letterbox":
        left, top = (spec.width_px - width) // 2, (spec.height_px - height) // 2
    elif spec.crop == "centre_round":
        left, top = -round((width - spec.width_px) / 2), -round((height - spec.height_px) / 2)
    else:
        left, top = -((width - spec.width_px) // 2), -((height - spec.height_px) // 2)
    return Placement(width / width_px, height / height_px, float(left), float(top))


def prepare(image: Image, spec: ImageInput) -> NDArray[np.uint8]:
    """Resize, crop and order the colours of a picture.

    Args:
        image: uint8 [H, W, 3] BGR of any size.
        spec: what the model's manifest asks for.

    Returns:
        uint8 [1, spec.height_px, spec.width_px, 3], C-contiguous.
    """
    height, width = image.shape[:2]
    where = placement(width, height, spec)
    result = _warped(image, where, spec) if spec.resize == "warp" else _resized(image, where, spec)
    if spec.colour_order == "rgb":
        result = np.asarray(cv2.cvtColor(result, cv2.COLOR_BGR2RGB), np.uint8)
    return np.ascontiguousarray(result)[None]


def crop_face(image: Image, box: FaceBox, margin: float) -> Image | None:
    """Cut a face out of a picture, with a margin around it.

    Args:
        image: uint8 [H, W, 3].
        box: the face, in pixels of the picture.
        margin: added on each side, in box sizes (0.2: the crop is 1.4 boxes wide before it is clipped).

    Returns:
        A view of the picture, clipped to it; None when less than a pixel of the widened box lies inside.
    """
    height, width = image.shape[:2]
    left = int(max(0.0, box.x_px - margin * box.width_px))
    top = int(max(0.0, box.y_px - margin * box.height_px))
    right = int(min(float(width), box.x_px + (1 + margin) * box.width_px))
    bottom = int(min(float(height), box.y_px + (1 + margin) * box.height_px))
    return image[top:bottom, left:right] if right > left and bottom > top else None


def _warped(image: Image, where: Placement, spec: ImageInput) -> Image:
    # As MediaPipe's ImageToTensorCalculator on the CPU: pixel centres are taken for corners, bilinear, black outside.
    matrix = np.array([[where.scale_x, 0, where.offset_x_px], [0, where.scale_y, where.offset_y_px]], np.float64)
    return np.asarray(cv2.warpAffine(image, matrix, (spec.width_px, spec.height_px), flags=cv2.INTER_LINEAR), np.uint8)


def _resized(image: Image, where: Placement, spec: ImageInput) -> Image:
    height, width = round(image.shape[0] * where.scale_y), round(image.shape[1] * where.scale_x)
    left, top = int(where.offset_x_px), int(where.offset_y_px)
    cut = spec.crop != "letterbox"
    if spec.resize in ("bicubic_antialias", "bilinear_antialias"):
        part = Crop(-left, -top, spec.width_px, spec.height_px) if cut else None
        kind: Filter = "bicubic" if spec.resize == "bicubic_antialias" else "bilinear"
        image = resize_antialiased(image, width, height, kind, part)
    else:
        interpolation = cv2.INTER_AREA if spec.resize == "area" else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)
        if cut:
            image = image[-top : spec.height_px - top, -left : spec.width_px - left]
    if cut:
        return image
    result = np.zeros((spec.height_px, spec.width_px, 3), np.uint8)
    result[top : top + height, left : left + width] = image
    return result
