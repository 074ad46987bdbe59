"""How pictures were resized when a model was trained, by the libraries that did it; and the runtime's rule that fits.

Normalisation is left out on both sides: it lives in the graph.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import Image
from emomusic_edge.errors import MissingExtraError
from emomusic_edge.manifest import ImageInput

Transform = Literal["clip", "torchvision", "torchvision-square", "opencv"]


class HostRule(NamedTuple):
    """The runtime's resize and crop, as the manifest names them."""

    resize: Literal["bilinear", "bicubic_antialias", "bilinear_antialias"]
    crop: Literal["none", "centre", "centre_round"]


HOST_RULES: dict[Transform, HostRule] = {
    "clip": HostRule("bicubic_antialias", "centre"),
    "torchvision": HostRule("bilinear_antialias", "centre_round"),
    "torchvision-square": HostRule("bilinear_antialias", "none"),
    "opencv": HostRule("bilinear", "none"),
}


def image_rule(transform: Transform, size_px: int, normalisation: str, face_margin: float = 0.0) -> ImageInput:
    """The manifest's picture rule for a model that was trained with a transform.

    Args:
        transform: training's.
        size_px: of the model's input.
        normalisation: what the graph does, in words.
        face_margin: added on each side of a face, in its own sizes.
    """
    rule = HOST_RULES[transform]
    return ImageInput(
        height_px=size_px,
        width_px=size_px,
        colour_order="rgb",
        resize=rule.resize,
        crop=rule.crop,
        face_margin=face_margin,
        normalisation=normalisation,
    )


def trained_with(image: Image, transform: Transform, size_px: int) -> NDArray[np.uint8]:
    """One picture as training saw it, before normalisation.

    Args:
        image: uint8 [H, W, 3] BGR.
        transform: `clip`: transformers' CLIPImageProcessor; `torchvision`: Resize(s) and CenterCrop(s) on a Pillow
            picture, `torchvision-square`: Resize((s, s)), both Pillow's bilinear filter; `opencv`: cv2.resize((s, s)).
        size_px: of the model's input.

    Returns:
        uint8 [1, size_px, size_px, 3] RGB.

    Raises:
        MissingExtraError: the library is not here.
    """
    rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    if transform == "opencv":
        return np.asarray(cv2.resize(rgb, (size_px, size_px)), np.uint8)[None]
    try:
        return _clip(rgb, size_px) if transform == "clip" else _torchvision(rgb, transform, size_px)
    except ImportError as cause:
        raise MissingExtraError(
            f"Comparing with the training transform {transform!r} needs {cause.name}.",
            mend="pip install 'emomusic-edge[export]'",
        ) from cause


def _clip(rgb: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    import transformers

    # In transformers 5 the plain name wants torchvision; the one on Pillow is what OpenAI's models were published with.
    name = "CLIPImageProcessorPil" if hasattr(transformers, "CLIPImageProcessorPil") else "CLIPImageProcessor"
    processor = getattr(transformers, name)(
        size={"shortest_edge": size_px},
        crop_size={"height": size_px, "width": size_px},
        do_rescale=False,
        do_normalize=False,
    )
    pixels = processor(images=rgb, return_tensors="np")["pixel_values"]
    return np.ascontiguousarray(np.asarray(pixels).transpose(0, 2, 3, 1).astype(np.uint8))


def _torchvision(rgb: NDArray[np.uint8], transform: Transform, size_px: int) -> NDArray[np.uint8]:
    from PIL import Image as Pillow

    height, width = rgb.shape[:2]
    picture = Pillow.fromarray(rgb)
    if transform == "torchvision-square":
        return np.asarray(picture.resize((size_px, size_px), Pillow.Resampling.BILINEAR))[None]
    # Resize: the short side becomes s, the long one is cut to whole pixels; CenterCrop rounds half to even.
    short = min(height, width)
    size = (
        (size_px if width == short else int(size_px * width / height)),
        (size_px if height == short else int(size_px * height / width)),
    )
    resized = np.asarray(picture.resize(size, Pillow.Resampling.BILINEAR))
    top, left = (round((side - size_px) / 2.0) for side in resized.shape[:2])
    return np.ascontiguousarray(resized[top : top + size_px, left : left + size_px])[None]
