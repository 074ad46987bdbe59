"""Gate 4: what the runtime hands to the model is what training handed to it, as far as the answers can tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import Image
from emomusic_edge.export.session import cpu_session
from emomusic_edge.export.training_transform import Transform, trained_with
from emomusic_edge.manifest import GateRecord, ImageInput
from emomusic_edge.preprocess import prepare

from .record import gate_record

# FindingEmo units, mean absolute over the pictures, of each axis.
BOUND = 0.05


def preprocessing_gate(
    model: bytes, image: ImageInput, transform: Transform, pictures: Sequence[Image], mask_width: int
) -> GateRecord:
    """Compare the answers to real pictures in the sizes of cameras, prepared by the runtime and as in training.

    Args:
        model: the graph; it answers both, without dropout, so that resize and crop alone differ.
        image: the manifest's rule.
        transform: training's.
        pictures: uint8 [H, W, 3] BGR.
        mask_width: K.
    """
    session = cpu_session(model)
    ones = np.ones((1, mask_width), np.float32)
    plain = image.model_copy(update={"resize": "bilinear"})

    def answers(inputs: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(session.run(["mean"], {"image": inputs, "masks": ones})[0], np.float64)

    wanted = np.array([answers(trained_with(picture, transform, image.height_px)) for picture in pictures])
    found = np.array([answers(prepare(picture, image)) for picture in pictures])
    cheap = np.array([answers(prepare(picture, plain)) for picture in pictures])
    by_axis = np.abs(found - wanted).mean(axis=0)
    by_axis_plain = np.abs(cheap - wanted).mean(axis=0)
    worst = float(by_axis.max())
    told = (
        f"{worst:.4f} FindingEmo units, mean absolute, from training's transform ({transform}) on {len(pictures)} "
        f"pictures (bound {BOUND:g})"
    )
    if image.resize != "bilinear":
        told += f"; a plain cv2.resize: {float(by_axis_plain.max()):.4f}"
    if image.resize == "bilinear" and transform == "opencv":
        told += "; the same call of OpenCV on both sides"
    return gate_record(
        "preprocessing",
        told,
        {
            "valence_mean_abs": float(by_axis[0]),
            "arousal_mean_abs": float(by_axis[1]),
            "valence_mean_abs_of_plain_cv2": float(by_axis_plain[0]),
            "arousal_mean_abs_of_plain_cv2": float(by_axis_plain[1]),
        },
        passed=worst <= BOUND,
    )
