"""ResNet-18 and -34 without their classifier, under torchvision's parameter names.

He et al., "Deep residual learning for image recognition", 2016: basic blocks of two 3x3 convolutions, four stages of
64, 128, 256 and 512 channels. torchvision is not a dependency: its compiled part must fit
PyTorch's build to the letter.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

STAGE_CHANNELS = (64, 128, 256, 512)
FEATURES = STAGE_CHANNELS[-1]


class _BasicBlock(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        added: Tensor = self.relu(x + shortcut)
        return added


class ResNetTrunk(nn.Module):
    """Pictures float32 [N, 3, H, W] -> features float32 [N, 512]."""

    def __init__(self, blocks: Sequence[int]) -> None:
        """Lay out the stages.

        Args:
            blocks: basic blocks in each of the four stages: (2, 2, 2, 2) is ResNet-18, (3, 4, 6, 3) ResNet-34.
        """
        super().__init__()
        self.conv1 = nn.Conv2d(3, STAGE_CHANNELS[0], 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STAGE_CHANNELS[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels_in = STAGE_CHANNELS[0]
        for stage, (count, channels) in enumerate(zip(blocks, STAGE_CHANNELS, strict=True), start=1):
            first = _BasicBlock(channels_in, channels, stride=1 if stage == 1 else 2)
            rest = [_BasicBlock(channels, channels, stride=1) for _ in range(count - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(first, *rest))
            channels_in = channels

    def forward(self, pictures: Tensor) -> Tensor:
        """The mean of the last stage over the picture."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(pictures))))
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return torch.mean(x, dim=(2, 3))
