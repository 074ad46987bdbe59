from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from seed_models import mc_forward  # noqa: E402
from small_networks import P, Small, prepared, without_numbers  # noqa: E402

from emomusic_edge.export.gates.distribution import (  # noqa: E402
    SAMPLES,
    compare,
    distribution_gate,
    holds,
    model_samples,
)
from emomusic_edge.export.gates.parity import seeded_masks  # noqa: E402
from emomusic_edge.export.pictures import PictureSets  # noqa: E402
from emomusic_edge.export.session import cpu_session  # noqa: E402


@pytest.mark.parametrize("source", ["scene", "face"])
def test_mask_rows_are_the_models_own_dropout(source: str, scenes: PictureSets, request: pytest.FixtureRequest) -> None:
    small: Small = request.getfixturevalue(f"small_{source}")
    gate = distribution_gate(small.network, small.content, prepared(scenes), P)
    assert gate.state == "passed", gate.told
    assert not small.network.regressor.dropout.training


@pytest.mark.slow
@pytest.mark.parametrize("source", ["scene", "face"])
def test_mask_rows_are_the_seeds_own_loop(source: str, scenes: PictureSets, request: pytest.FixtureRequest) -> None:
    """The document's way to the letter: 4,000 whole passes of its own classes on each real picture.

    Of the ResNet, whose passes take long, on one; the gate itself has eight or more for both.
    """
    small: Small = request.getfixturevalue(f"small_{source}")
    session = cpu_session(small.content)
    masks = seeded_masks(SAMPLES, small.mask_width, P, seed=21)
    images = prepared(scenes)[: 8 if source == "scene" else 1]
    torch.manual_seed(22)
    pairs = []
    for image in images:
        pixels = small.network.normalised(torch.from_numpy(image))
        loop = mc_forward(small.seed_model, pixels, SAMPLES).numpy().astype(np.float64)
        rows = session.run(["samples"], {"image": image, "masks": masks})[0].astype(np.float64)
        pairs.append((loop, rows))
    figures = compare(pairs)
    assert holds(figures, len(images)), figures
    small.seed_model.eval()


@pytest.mark.parametrize("told_p", [0.2, 0.4])
def test_masks_of_another_rate_fail(told_p: float, small_scene: Small, scenes: PictureSets) -> None:
    gate = distribution_gate(small_scene.network, small_scene.content, prepared(scenes)[:8], told_p)
    assert gate.state == "failed"
    assert gate.figures["attempts"] == 2


def test_one_mask_for_all_layers_of_a_width_fails(small_scene: Small, scenes: PictureSets) -> None:
    """Marginals alone do not make a distribution: rows whose heads share their masks have another variance."""
    image = prepared(scenes)[0]
    masks = seeded_masks(SAMPLES, small_scene.mask_width, P)
    masks[:, :] = masks[:, :1]
    rows = cpu_session(small_scene.content).run(["samples"], {"image": image, "masks": masks})[0].astype(np.float64)
    assert not holds(compare([(model_samples(small_scene.network, image, 3), rows)]), 1)


def test_too_few_pictures_are_an_error(small_scene: Small, scenes: PictureSets) -> None:
    with pytest.raises(ValueError, match="at least 8"):
        distribution_gate(small_scene.network, small_scene.content, prepared(scenes)[:7], P)


# The comparison itself


@given(st.integers(0, 2**31), st.floats(-3, 3), st.floats(0.05, 2))
@settings(max_examples=60)
def test_draws_of_one_distribution_compare_well(seed: int, mean: float, sd: float) -> None:
    rng = np.random.default_rng(seed)
    figures = compare([(rng.normal(mean, sd, (SAMPLES, 2)), rng.normal(mean, sd, (SAMPLES, 2)))])
    # wider than the gate's own bounds: sixty seeds draw more often than one export does
    assert figures["mean_standard_errors"] < 6
    assert figures["variance_ratio"] < 0.16
    assert figures["least_p_value"] > 1e-6


@pytest.mark.parametrize(
    "other",
    [
        lambda rng: rng.normal(0.13, 1, (SAMPLES, 2)),
        lambda rng: rng.normal(0, 1.12, (SAMPLES, 2)),
        lambda rng: rng.uniform(-np.sqrt(3), np.sqrt(3), (SAMPLES, 2)),
        lambda rng: np.zeros((SAMPLES, 2)),
    ],
    ids=["mean", "variance", "shape", "no dropout at all"],
)
def test_another_distribution_does_not(other: object) -> None:
    rng = np.random.default_rng(1)
    assert not holds(compare([(rng.normal(0, 1, (SAMPLES, 2)), other(rng))]), 1)  # type: ignore[operator]


def test_a_graph_that_answers_no_number_fails(small_scene: Small, scenes: PictureSets) -> None:
    gate = distribution_gate(small_scene.network, without_numbers(small_scene), prepared(scenes)[:8], P)
    assert gate.state == "failed"
    assert None in gate.figures.values()
