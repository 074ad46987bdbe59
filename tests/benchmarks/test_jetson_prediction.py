"""The prediction: its page is what its script prints, its counts are those of the networks, its bounds hold."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import text_of

from benchmarks.jetson_prediction import (
    BOARDS,
    KERNELS,
    LAYERS,
    NANO,
    REPORTED_BATCH,
    REPORTED_MS,
    SCENARIOS,
    bounds_ms,
    fill,
    fitted_efficiency,
    pass_ms,
    predicted_ms,
    tables,
)
from benchmarks.jetson_prediction_layers import SAMPLES, Layer

PAGE = "docs/jetson-prediction.md"
SOURCES = ("scene", "face")


def test_the_page_holds_what_the_script_prints() -> None:
    page = text_of(PAGE)
    for table in tables().split("\n\n"):
        assert table in page


def test_title_and_tables_say_that_it_is_a_prediction() -> None:
    page = text_of(PAGE)
    assert page.startswith("# PREDICTION")
    told = [table for table in tables().split("\n\n") if re.search(r"\d+\.\d", table)]
    assert sum("PREDICTION" in table.splitlines()[0] for table in told) == 2


def test_figures_in_the_prose_are_the_scripts() -> None:
    page = " ".join(text_of(PAGE).split())
    for source in SOURCES:
        assert f"{REPORTED_MS[source]:.2f} ms" in page
        low, high = min(predicted_ms(source, NANO)), max(predicted_ms(source, NANO))
        assert f"{low:.1f} to {high:.1f} ms" in page


@pytest.mark.parametrize("source", SOURCES)
def test_counts_are_those_of_the_networks(source: str) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from emomusic_edge.export.network.clip_tower import ClipTower
    from emomusic_edge.export.network.reference import HEADS, RESNET_18, VIT_B_32
    from emomusic_edge.export.network.resnet import ResNetTrunk

    trunk = ClipTower(VIT_B_32) if source == "scene" else ResNetTrunk(RESNET_18)
    trunk.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        trunk(torch.zeros(1, 3, 224, 224))
    layers = [layer for layer in LAYERS[source] if not layer.is_head]
    assert sum(layer.macs for layer in layers) == pytest.approx(counter.get_total_flops() / 2, rel=2e-3)
    matrices = sum(weight.numel() for weight in trunk.parameters() if weight.dim() > 1)
    assert sum(layer.weight_bytes for layer in layers) / 2 == pytest.approx(matrices, rel=2e-3)
    sizes = [HEADS[source].features, *HEADS[source].hidden, 1]
    macs = 2 * SAMPLES * sum(a * b for a, b in itertools.pairwise(sizes))
    assert sum(layer.macs for layer in LAYERS[source] if layer.is_head) == macs


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_scenario_explains_the_reported_batch(source: str, scenario) -> None:
    efficiency = fitted_efficiency(source, scenario)
    assert 0 < efficiency < 1
    layers = [layer for layer in LAYERS[source] if not layer.is_head]
    told = pass_ms(layers, KERNELS[source], REPORTED_BATCH, NANO, scenario, efficiency)
    assert told == pytest.approx(REPORTED_MS[source], rel=1e-6)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_predictions_lie_within_their_bounds_and_a_faster_board_is_not_slower(source: str, board) -> None:
    low, high = bounds_ms(source, board)
    for here, on_the_nano in zip(predicted_ms(source, board), predicted_ms(source, NANO), strict=True):
        assert low < here < high
        assert here <= on_the_nano


def test_published_peaks_agree_with_the_clock() -> None:
    # sparse INT8 TOPS as NVIDIA tells them, DLAs left out: four times dense FP16
    for board, tops in zip(BOARDS, (40, 67, 50, 60), strict=True):
        assert 4 * board.peak_tflops == pytest.approx(tops, rel=0.03)


@given(
    rows=st.integers(1, 4000),
    columns=st.integers(1, 4000),
    count=st.integers(1, 12),
    batch=st.integers(1, 8),
    tile=st.sampled_from([64, 128]),
)
def test_what_is_not_wasted_is_a_share(rows: int, columns: int, count: int, batch: int, tile: int) -> None:
    layer = Layer(rows, 64, columns, rows * 64, count)
    assert 0 < fill(layer, batch, tile, 8) <= 1
    assert fill(layer, batch, None, 8) == 1.0
    whole = Layer(8 * tile, 64, tile, 1)
    assert math.isclose(fill(whole, 1, tile, 8), 1.0)
