"""The two networks as matrix products in FP16: what the prediction for a Jetson counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# The dropout samples of the heads, which the reported networks do not have.
SAMPLES = 64
_FP16_BYTES = 2


@dataclass(frozen=True, slots=True)
class Layer:
    """`count` products of [rows, inner] x [inner, columns] for one picture.

    Attributes:
        input_values: that are read; of a convolution fewer than rows x inner, as its windows overlap.
        has_weights: False for attention, whose factors are both computed.
        is_head: of the heads with their samples, which the reported networks did not have.
    """

    rows: int
    inner: int
    columns: int
    input_values: int
    count: int = 1
    has_weights: bool = True
    is_head: bool = False

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return self.rows * self.inner * self.columns * self.count

    @property
    def weight_bytes(self) -> int:
        """In FP16."""
        return self.inner * self.columns * self.count * _FP16_BYTES if self.has_weights else 0

    @property
    def activation_bytes(self) -> int:
        """Read and written, in FP16, for one picture."""
        return (self.input_values + self.rows * self.columns * self.count) * _FP16_BYTES


def _dense(rows: int, inner: int, columns: int, count: int = 1, *, is_head: bool = False) -> Layer:
    return Layer(rows, inner, columns, rows * inner * count, count, is_head=is_head)


def scene_layers() -> Iterator[Layer]:
    """CLIP's ViT-B/32: 49 patches and a class token, 12 blocks of width 768; two heads 512-256-128-1."""
    yield _dense(49, 3 * 32 * 32, 768)
    for _ in range(12):
        for _ in ("query", "key", "value", "output"):
            yield _dense(50, 768, 768)
        for inner, columns in ((64, 50), (50, 64)):
            yield Layer(50, inner, columns, 50 * inner * 12 + inner * columns * 12, count=12, has_weights=False)
        yield _dense(50, 768, 3072)
        yield _dense(50, 3072, 768)
    yield _dense(1, 768, 512)
    for _ in ("valence", "arousal"):
        for inner, columns in ((512, 256), (256, 128), (128, 1)):
            yield _dense(SAMPLES, inner, columns, is_head=True)


def face_layers() -> Iterator[Layer]:
    """ResNet-18 (He et al. 2015) on 224 x 224 pixels; two heads 512-128-1."""

    def convolution(side: int, before: int, after: int, kernel: int, stride: int = 1) -> Layer:
        return Layer(side * side, before * kernel**2, after, (side * stride) ** 2 * before)

    yield convolution(112, 3, 64, 7, 2)
    for stage, width in enumerate((64, 128, 256, 512)):
        side, before = 56 >> stage, max(64, width // 2)
        stride = 1 if stage == 0 else 2
        yield convolution(side, before, width, 3, stride)
        for _ in range(3):
            yield convolution(side, width, width, 3)
        if stage:
            yield convolution(side, before, width, 1, stride)
    for _ in ("valence", "arousal"):
        for inner, columns in ((512, 128), (128, 1)):
            yield _dense(SAMPLES, inner, columns, is_head=True)
