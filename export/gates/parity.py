"""Gate 2: the graph answers what PyTorch answers, without dropout and mask row for mask row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
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
    ones = np.ones((1, network.mask_width), np.float32)
    pictures = [made_picture(number, image_px, image_px) for number in range(MADE_PICTURES)]
    return ParityRecord(
        reference=f"PyTorch {torch.__version__}",
        pictures=MADE_PICTURES,
        mask_width=network.mask_width,
        kept=packed_rows(masks > 0),
        deterministic=tuple(_pair(_torch_answers(network, picture, ones)[0]) for picture in pictures),
        samples=tuple(tuple(_pair(row) for row in _torch_answers(network, picture, masks)[2]) for picture in pictures),
    )


def _torch_answers(
    network: MaskedRegressor, image: NDArray[np.uint8], masks: NDArray[np.float32]
) -> tuple[NDArray[np.float32], ...]:
    with torch.no_grad():
        answers = network.as_trained(torch.from_numpy(image), torch.from_numpy(masks))
    return tuple(np.asarray(answer.numpy(), np.float32) for answer in answers)


def _pair(values: NDArray[np.float32]) -> tuple[float, float]:
    return float(values[0]), float(values[1])
