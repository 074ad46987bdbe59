"""Gate 3: the graph's samples are drawn from the same distribution as the model's own passes with dropout active.

The seed runs the whole model T times. Its trunk has nothing random in it, so that T passes behind a trunk that ran once
are the same draws; the tests hold that against the loop itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from emomusic_edge.export.network.masked import MaskedRegressor
from emomusic_edge.export.session import cpu_session
from emomusic_edge.manifest import GateRecord

from .parity import seeded_masks
from .record import gate_record

SAMPLES = 4000
LEAST_PICTURES = 8
MOST_STANDARD_ERRORS = 4.0
MOST_VARIANCE_RATIO = 0.10
# For the whole family of tests, one a picture and axis (Bonferroni).
LEAST_P_VALUE = 0.01
# The ratio of two sampled variances scatters by 3 % at T = 4,000, so that a right graph misses a bound once in some
# thirty exports; to miss it with two independent seeds takes a wrong one.
_SEEDS = (11, 12)


def distribution_gate(
    network: MaskedRegressor, model: bytes, images: Sequence[NDArray[np.uint8]], p: float
) -> GateRecord:
    """Compare T = 4,000 passes of the model with dropout active with T = 4,000 mask rows through the graph.

    Args:
        network: the source.
        model: the graph.
        images: uint8 [1, H, W, 3], at least 8 real ones.
        p: the dropout probability.
    """
    if len(images) < LEAST_PICTURES:
        raise ValueError(f"{len(images)} pictures given, at least {LEAST_PICTURES} expected")
    session = cpu_session(model)
    figures: dict[str, float] = {}
    for attempt, seed in enumerate(_SEEDS, start=1):
        masks = seeded_masks(SAMPLES, network.mask_width, p, seed=seed)
        pairs = [
            (
                model_samples(network, image, seed),
                np.asarray(session.run(["samples"], {"image": image, "masks": masks})[0], np.float64),
            )
            for image in images
        ]
        figures = compare(pairs) | {"attempts": float(attempt)}
        if holds(figures, len(images)):
            break
    return gate_record(
        "distribution",
        f"T = {SAMPLES} on {len(images)} pictures: means within {figures['mean_standard_errors']:.1f} standard "
        f"errors (bound {MOST_STANDARD_ERRORS:g}), variances within {figures['variance_ratio'] * 100:.1f} % (bound "
        f"{MOST_VARIANCE_RATIO * 100:g} %), least Kolmogorov-Smirnov p {figures['least_p_value']:.2g} (bound "
        f"{LEAST_P_VALUE / (2 * len(images)):.1g})",
        figures,
        passed=holds(figures, len(images)),
    )


def model_samples(network: MaskedRegressor, image: NDArray[np.uint8], seed: int) -> NDArray[np.float64]:
    """T passes with PyTorch's own dropout, float64 [T, 2]."""
    regressor = network.regressor
    torch.manual_seed(seed)
    with torch.no_grad():
        features = regressor.backbone(network.normalised(torch.from_numpy(image)))
        try:
            samples = regressor.sampling().from_features(features.expand(SAMPLES, -1))
        finally:
            regressor.sampling(on=False)
    return np.asarray(samples.numpy(), np.float64)


def compare(pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> dict[str, float]:
    """The worst of all pictures and axes.

    Args:
        pairs: two sets of samples [T, 2] for each picture.

    Returns:
        `mean_standard_errors`: the difference of means in standard errors of that difference; `variance_ratio`: how far
        the variances' ratio is from 1; `least_p_value`: of the two-sample Kolmogorov-Smirnov tests.
    """
    errors, ratios, p_values = [0.0], [0.0], [1.0]
    for one, other in pairs:
        for axis in range(2):
            a, b = one[:, axis], other[:, axis]
            variances = a.var(ddof=1), b.var(ddof=1)
            # Not `<=`: what is not a number is no distribution either.
            if not min(variances) > 0 or not np.isfinite(variances).all():
                return {"mean_standard_errors": np.inf, "variance_ratio": np.inf, "least_p_value": 0.0}
            error = np.sqrt(variances[0] / len(a) + variances[1] / len(b))
            errors.append(float(abs(a.mean() - b.mean()) / error))
            ratios.append(float(abs(variances[1] / variances[0] - 1.0)))
            p_values.append(float(ks_2samp(a, b).pvalue))
    return {
        "mean_standard_errors": max(errors),
        "variance_ratio": max(ratios),
        "least_p_value": min(p_values),
    }


def holds(figures: dict[str, float], pictures: int) -> bool:
    """Whether the bounds hold for so many pictures of two axes."""
    return (
        figures["mean_standard_errors"] <= MOST_STANDARD_ERRORS
        and figures["variance_ratio"] <= MOST_VARIANCE_RATIO
        and figures["least_p_value"] >= LEAST_P_VALUE / (2 * pictures)
    )
