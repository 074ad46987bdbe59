"""PREDICTS what one picture takes on an Orin Nano and an Orin NX, from two reported figures for a batch of 8.

Nobody here has measured on a board. The page docs/jetson-prediction.md holds what this prints and says what it rests
on.

.venv/bin/python -m benchmarks.jetson_prediction
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .jetson_prediction_layers import Layer, face_layers, scene_layers

REPORTED_BATCH = 8
# NVIDIA-AI-IOT, jetson-intro-to-distillation, README: TensorRT (trtexec), FP16, 224 x 224, Jetson Orin Nano.
REPORTED_MS = {"scene": 23.82, "face": 5.97}
NETWORKS = {"scene": "CLIP ViT-B/32", "face": "ResNet-18"}

# A tensor core of these GPUs does 256 dense FP16 multiply-adds a clock: NVIDIA's sparse INT8 figures (40 TOPS for
# 32 cores at 625 MHz, 67 at 1020 MHz) are four times that.
_MACS_PER_CORE_AND_CLOCK = 256


@dataclass(frozen=True, slots=True)
class Board:
    """As NVIDIA publishes it.

    Attributes:
        clock_mhz: of the GPU, at most.
        bandwidth_gb_s: of the memory.
        tensor_cores, multiprocessors: of the GPU.
    """

    name: str
    clock_mhz: int
    bandwidth_gb_s: float
    tensor_cores: int = 32
    multiprocessors: int = 8

    @property
    def peak_tflops(self) -> float:
        """Dense FP16 on the tensor cores."""
        return 2e-6 * self.tensor_cores * _MACS_PER_CORE_AND_CLOCK * self.clock_mhz


# Jetson Orin Nano Series data sheet (DS-11105-001); Jetson Orin NX Series data sheet (DS-10712-001), not looked up
# again; Super: NVIDIA's Jetson Orin Nano Super developer kit. The reported figures are older than Super.
NANO = Board("Orin Nano 8GB", 625, 68.0)
BOARDS = (
    NANO,
    Board("Orin Nano 8GB, Super", 1020, 102.0),
    Board("Orin NX 8GB", 765, 102.4),
    Board("Orin NX 16GB", 918, 102.4),
)


LAYERS = {"scene": tuple(scene_layers()), "face": tuple(face_layers())}
# ASSUMED: after TensorRT's fusion, eight a block of the ViT (two normalisations, four products, attention, activation),
# one a convolution; about fifteen more for the input and the heads.
KERNELS = {"scene": 12 * 8 + 15, "face": 20 + 15}


@dataclass(frozen=True, slots=True)
class Scenario:
    """ASSUMPTIONS, each of which explains the reported batch; they differ in what they make of one picture.

    Attributes:
        tile: rows and columns that a thread block computes at once; rows that are left over in one are wasted, and so
            are multiprocessors without a tile. None: nothing is wasted.
        bandwidth_share: of the published bandwidth that is reached.
        launch_us: between two kernels, with one picture. In the reported batch kernels take 100 us and more, and the
            next is launched meanwhile.
    """

    name: str
    tile: int | None
    bandwidth_share: float
    launch_us: float


SCENARIOS = (
    Scenario("nothing wasted", None, 0.9, 1.0),
    Scenario("tiles of 64", 64, 0.8, 3.0),
    Scenario("tiles of 128, slow launches", 128, 0.6, 10.0),
)
_LAUNCH_IN_BATCH_US = 1.0


def fill(layer: Layer, batch: int, tile: int | None, multiprocessors: int) -> float:
    """The share of the tensor cores' work that is not wasted on rows, columns and multiprocessors left over."""
    if tile is None:
        return 1.0
    rows = layer.rows * batch
    across, down = math.ceil(layer.columns / tile), math.ceil(rows / tile)
    tiles = across * down * layer.count
    waves = math.ceil(tiles / multiprocessors)
    return rows * layer.columns * layer.count / (waves * multiprocessors * tile * tile)


def pass_ms(
    layers: Sequence[Layer], kernels: int, batch: int, board: Board, scenario: Scenario, efficiency: float
) -> float:
    """The time of one pass: each layer as long as its arithmetic or its bytes, and the launches.

    Args:
        layers: of the network.
        kernels: that are launched.
        batch: pictures.
        board: whose peak and bandwidth count.
        scenario: what is assumed.
        efficiency: share of the peak that a full tile reaches.
    """
    launch_us = scenario.launch_us if batch == 1 else _LAUNCH_IN_BATCH_US
    total_s = 1e-6 * launch_us * kernels
    for layer in layers:
        wasted = fill(layer, batch, scenario.tile, board.multiprocessors)
        compute_s = 2 * layer.macs * batch / (1e12 * board.peak_tflops * efficiency * wasted)
        moved = layer.weight_bytes + layer.activation_bytes * batch
        total_s += max(compute_s, moved / (1e9 * board.bandwidth_gb_s * scenario.bandwidth_share))
    return 1e3 * total_s


def fitted_efficiency(source: str, scenario: Scenario) -> float:
    """The efficiency at which the reported batch takes what was reported; by bisection.

    Raises:
        ValueError: not even the full peak would explain it.
    """
    layers = [layer for layer in LAYERS[source] if not layer.is_head]

    def batch_ms(efficiency: float) -> float:
        return pass_ms(layers, KERNELS[source], REPORTED_BATCH, NANO, scenario, efficiency)

    low, high = 1e-3, 1.0
    if batch_ms(high) > REPORTED_MS[source]:
        raise ValueError(f"{scenario.name}: {source} would take {batch_ms(high):.2f} ms at the full peak")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if batch_ms(middle) > REPORTED_MS[source] else (low, middle)
    return high


def predicted_ms(source: str, board: Board) -> tuple[float, ...]:
    """One picture on a board, by scenario."""
    return tuple(
        pass_ms(LAYERS[source], KERNELS[source], 1, board, scenario, fitted_efficiency(source, scenario))
        for scenario in SCENARIOS
    )


def bounds_ms(source: str, board: Board) -> tuple[float, float]:
    """What holds whatever the scenario: no picture is faster alone than in a batch, or slower than the whole batch.

    On other boards than the reported one, scaled by the more favourable of clock and bandwidth for the lower bound, by
    the less favourable for the upper.
    """
    gains = (board.peak_tflops / NANO.peak_tflops, board.bandwidth_gb_s / NANO.bandwidth_gb_s)
    return REPORTED_MS[source] / REPORTED_BATCH / max(gains), REPORTED_MS[source] / min(gains)


def tables() -> str:
    """The page's tables, as they stand there."""
    published = [
        [b.name, f"{b.clock_mhz}", f"{b.tensor_cores}", f"{b.bandwidth_gb_s:g}", f"{b.peak_tflops:.1f}"] for b in BOARDS
    ]
    prediction = []
    for source, network in NETWORKS.items():
        for board in BOARDS:
            low, high = bounds_ms(source, board)
            times = predicted_ms(source, board)
            prediction.append(
                [
                    f"{source} ({network})",
                    board.name,
                    f"{low:.1f}",
                    f"{min(times):.1f} to {max(times):.1f}",
                    f"{high:.1f}",
                ]
            )
    assumed = []
    for place, scenario in enumerate(SCENARIOS):
        row = [scenario.name, "-" if scenario.tile is None else f"{scenario.tile}", f"{scenario.bandwidth_share:.0%}"]
        row += [f"{scenario.launch_us:g}"]
        for source in NETWORKS:
            row += [f"{fitted_efficiency(source, scenario):.0%}", f"{predicted_ms(source, NANO)[place]:.1f}"]
        assumed.append(row)
    counts = [
        [
            f"{source} ({network})",
            f"{sum(layer.macs for layer in LAYERS[source]) / 1e9:.2f}",
            f"{sum(layer.weight_bytes for layer in LAYERS[source]) / 1e6:.0f}",
            f"{sum(layer.weight_bytes for layer in LAYERS[source]) / 1e6 / NANO.bandwidth_gb_s:.1f}",
            f"{KERNELS[source]}",
            f"{REPORTED_MS[source]:.2f}",
        ]
        for source, network in NETWORKS.items()
    ]
    return "\n\n".join(
        [
            _table(
                ["PREDICTION, ms a picture", "board", "not under", "expected", "not over"],
                prediction,
            ),
            _table(["board", "GPU clock, MHz", "tensor cores", "memory, GB/s", "FP16 peak, TFLOPS"], published),
            _table(
                [
                    "model",
                    "10^9 multiply-adds",
                    "FP16 weights, MB",
                    "to read them once on the Nano, ms",
                    "kernels (assumed)",
                    "reported batch of 8, ms",
                ],
                counts,
            ),
            _table(
                [
                    "PREDICTION for Orin Nano 8GB, by assumption",
                    "tile",
                    "of the bandwidth",
                    "launch, us",
                    "scene: of the peak",
                    "scene, ms",
                    "face: of the peak",
                    "face, ms",
                ],
                assumed,
            ),
        ]
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("| --- ", "|---").replace("--- |", "---|") for line in lines)


if __name__ == "__main__":
    print(tables())
