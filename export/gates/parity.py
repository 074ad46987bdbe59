"""Gate 2: the graph answers what PyTorch answers, without dropout and mask row for mask row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from emomusic_edge.export.network.masked import MaskedRegressor
from emomusic_edge.export.session import cpu_session
from emomusic_edge.made_pictures import made_picture
from emomusic_edge.manifest import GateRecord
from emomusic_edge.parity_record import ParityRecord, packed_rows

from .record import gate_record, largest

# FindingEmo units, at fp32.
BOUND = 1e-4
MADE_PICTURES = 3


def seeded_masks(samples: int, width: int, p: float, seed: int = 0) -> NDArray[np.float32]:
    """Mask rows float32 [T, K]: 0 with probability p, else 1 / (1 - p)."""
    kept = np.random.default_rng(seed).random((samples, width)) < 1.0 - p
    return np.divide(kept, 1.0 - p, dtype=np.float32)


def parity_gate(
    network: MaskedRegressor, model: bytes, images: Sequence[NDArray[np.uint8]], masks: NDArray[np.float32]
) -> GateRecord:
    """Compare mean, variance and samples, at ONNX Runtime's optimisation levels off and all.

    Args:
        network: the source.
        model: the graph.
        images: uint8 [1, H, W, 3], real ones as the model gets them.
        masks: float32 [T, K], seeded.
    """
    cases = {"deterministic": np.ones((1, masks.shape[1]), np.float32), "sampled": masks}
    expected = [{case: _torch_answers(network, image, rows) for case, rows in cases.items()} for image in images]
    figures = {}
    for level in ("off", "all"):
        session = cpu_session(model, optimise=level == "all")
        for case, rows in cases.items():
            apart = [
                largest(a - b)
                for image, answers in zip(images, expected, strict=True)
                for a, b in zip(
                    session.run(["mean", "variance", "samples"], {"image": image, "masks": rows}),
                    answers[case],
                    strict=True,
                )
            ]
            figures[f"{case}_max_abs_at_level_{level}"] = largest(np.array(apart))
    most = largest(np.array(list(figures.values())))
    return gate_record(
        "parity",
        f"at most {most:.1e} FindingEmo units from PyTorch {torch.__version__} on {len(images)} pictures (bound "
        f"{BOUND:g})",
        figures,
        passed=most <= BOUND,
    )


def record_answers(network: MaskedRegressor, image_px: int, p: float, samples: int) -> ParityRecord:
    """What the source answers for made pictures, for whoever has the bundle and not the checkpoint.

    Args:
        network: the source.
        image_px: height and width of `image`.
        p: the dropout probability.
        samples: T mask rows, 2..128.
    """
    masks = seeded_masks(samples, network.mask_width, p, seed=1)
    return _record(
        f"PyTorch {torch.__version__}", image_px, masks, lambda image, rows: _torch_answers(network, image, rows)[2]
    )


def record_own_answers(model: bytes, image_px: int, width: int, p: float, samples: int) -> ParityRecord:
    """What an int8 graph itself answers, as it stands: each rounding where it is written.

    A made picture is like none that int8 was calibrated with, so PyTorch's answer to it tells nothing of a graph, nor
    of an engine that was built from it: ResNet-18's is 0.14 from its int8 graph's on made pictures, 0.019 on real ones.
    How far int8 is from its source on real pictures is gate 5's.

    Args:
        model: the graph.
        image_px: height and width of `image`.
        width: K.
        p: the dropout probability.
        samples: T mask rows, 2..128.
    """
    session = cpu_session(model, optimise=False)

    def answers(image: NDArray[np.uint8], rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(session.run(["samples"], {"image": image, "masks": rows})[0], np.float32)

    reference = f"the int8 graph itself on ONNX Runtime {ort.__version__}"
    return _record(reference, image_px, seeded_masks(samples, width, p, seed=1), answers)


def _record(
    reference: str,
    image_px: int,
    masks: NDArray[np.float32],
    answers: Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]],
) -> ParityRecord:
    """What `answers` gives for made pictures, float32 [T, 2] each; with masks of ones the one sample is the mean."""
    ones = np.ones((1, masks.shape[1]), np.float32)
    pictures = [made_picture(number, image_px, image_px) for number in range(MADE_PICTURES)]
    return ParityRecord(
        reference=reference,
        pictures=MADE_PICTURES,
        mask_width=masks.shape[1],
        kept=packed_rows(masks > 0),
        deterministic=tuple(_pair(answers(picture, ones)[0]) for picture in pictures),
        samples=tuple(tuple(_pair(row) for row in answers(picture, masks)) for picture in pictures),
    )


def _torch_answers(
    network: MaskedRegressor, image: NDArray[np.uint8], masks: NDArray[np.float32]
) -> tuple[NDArray[np.float32], ...]:
    with torch.no_grad():
        answers = network.as_trained(torch.from_numpy(image), torch.from_numpy(masks))
    return tuple(np.asarray(answer.numpy(), np.float32) for answer in answers)


def _pair(values: NDArray[np.float32]) -> tuple[float, float]:
    return float(values[0]), float(values[1])
