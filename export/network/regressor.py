"""The affect regressors of the seed: a trunk, dropout on its features, and a head each for valence and arousal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

AXES = ("valence", "arousal")


@dataclass(frozen=True, slots=True)
class HeadShape:
    """One head: Linear (LayerNorm) ReLU dropout, for each hidden layer, then Linear to one number.

    Attributes:
        features: numbers that come in.
        hidden: the width of each hidden layer.
        layer_norm: whether a LayerNorm follows each of its Linears.
    """

    features: int
    hidden: tuple[int, ...]
    layer_norm: bool

    def modules(self, dropout: nn.Module) -> nn.Sequential:
        """The layers, numbered as nn.Sequential numbers the seed's."""
        layers: list[nn.Module] = []
        width = self.features
        for wide in self.hidden:
            layers.append(nn.Linear(width, wide))
            if self.layer_norm:
                layers.append(nn.LayerNorm(wide))
            layers += [nn.ReLU(), dropout]
            width = wide
        layers.append(nn.Linear(width, 1))
        return nn.Sequential(*layers)


class AffectRegressor(nn.Module):
    """Pictures float32 [N, 3, H, W], normalised -> samples float32 [N, 2] (valence, arousal), FindingEmo units.

    Parameter names are those of the seed's SceneEmotionRegressor and FaceEmotionRegressor. One Dropout module serves
    every place, as there.
    """

    def __init__(self, backbone: nn.Module, heads: dict[str, HeadShape], dropout_p: float) -> None:
        """Put heads on a trunk.

        Args:
            backbone: pictures to features [N, D].
            heads: for `valence` and `arousal`.
            dropout_p: of every dropout layer, 0..1 exclusive.
        """
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout_p)
        self.valence_head = heads["valence"].modules(self.dropout)
        self.arousal_head = heads["arousal"].modules(self.dropout)
        self.head_shapes = heads
        self.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """One pass; stochastic where `sampling()` has switched dropout on."""
        return self.from_features(self.backbone(pictures))

    def from_features(self, features: Tensor) -> Tensor:
        """The pass behind the trunk: features float32 [N, D] -> [N, 2]."""
        dropped = self.dropout(features)
        return torch.cat([self.valence_head(dropped), self.arousal_head(dropped)], dim=1)

    def sampling(self, on: bool = True) -> AffectRegressor:
        """Switch dropout, and nothing else, to training mode: the trunk's BatchNorm keeps its statistics."""
        self.dropout.train(on)
        return self
