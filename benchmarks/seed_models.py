"""The regressors as the source document has them: what training saves, the tests' oracle, the benchmark's peer.

Written after the document's own classes, with transformers' and PyTorch's modules alone; nothing of the package is
used. `torch.hub`'s ResNet-18 is transformers' under torchvision's names, because torchvision is not a dependency.
"""

from __future__ import annotations

import re
from collections import OrderedDict

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, ResNetConfig, ResNetModel


def small_clip(width: int = 128, image_px: int = 64, projection: int = 48) -> CLIPModel:
    """A CLIP of two layers, text tower and all, with random weights that let signals through."""
    config = CLIPConfig(
        vision_config={
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_hidden_layers": 2,
            "num_attention_heads": width // 64,
            "image_size": image_px,
            "patch_size": 16,
            "projection_dim": projection,
        },
        text_config={
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "vocab_size": 99,
            "eos_token_id": 98,
            "bos_token_id": 97,
            "projection_dim": projection,
        },
        projection_dim=projection,
    )
    model = CLIPModel(config)
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            nn.init.normal_(parameter, std=float(parameter[0].numel()) ** -0.5)
    return model


class SceneEmotionRegressor(nn.Module):
    """A CLIP image tower, dropout, and a head for each of valence and arousal."""

    def __init__(self, backbone: CLIPModel, dropout_rate: float = 0.3) -> None:
        super().__init__()
        self.backbone = backbone
        self.feature_dim = backbone.config.projection_dim
        self.dropout = nn.Dropout(dropout_rate)
        self.valence_head = self._create_head()
        self.arousal_head = self._create_head()

    def _create_head(self) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(self.feature_dim, 256),
            nn.LayerNorm(256),
            nn.ReLU(),
            self.dropout,
            nn.Linear(256, 128),
            nn.LayerNorm(128),
            nn.ReLU(),
            self.dropout,
            nn.Linear(128, 1),
        )

    def forward(self, pixel_values: Tensor) -> Tensor:
        """float32 [N, 3, H, W] to valence and arousal, [N, 2]."""
        return self.from_features(self.features(pixel_values))

    def features(self, pixel_values: Tensor) -> Tensor:
        """The trunk's part, [N, D]."""
        features = self.backbone.get_image_features(pixel_values=pixel_values)
        # transformers 5 returns an object
        result: Tensor = getattr(features, "pooler_output", features)
        return result

    def from_features(self, features: Tensor) -> Tensor:
        """The heads' part, dropout included: [N, D] to [N, 2]."""
        features = self.dropout(features)
        return torch.cat([self.valence_head(features), self.arousal_head(features)], dim=1)


class TorchvisionResNet(nn.Module):
    """transformers' ResNet whose state_dict has torchvision's names."""

    def __init__(self, depths: tuple[int, ...] = (2, 2, 2, 2)) -> None:
        super().__init__()
        self.inner = ResNetModel(
            ResNetConfig(embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=list(depths), layer_type="basic")
        )
        for module in self.inner.modules():
            if isinstance(module, nn.BatchNorm2d):
                # statistics of a trained network are none of 0 and 1
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 1.5)

    def forward(self, pictures: Tensor) -> Tensor:
        """float32 [N, 3, H, W] to features [N, 512]."""
        return self.inner(pictures).pooler_output.flatten(1)

    def state_dict(self, *args: object, **kwargs: object) -> OrderedDict[str, Tensor]:
        """Its weights under torchvision's names."""
        # A parent's state_dict hands its own mapping down to be filled.
        prefix, result = str(kwargs.get("prefix", "")), kwargs.get("destination", OrderedDict())
        assert isinstance(result, OrderedDict)
        result.update((prefix + torchvision_name(n), v) for n, v in self.inner.state_dict().items())
        return result


def torchvision_name(name: str) -> str:
    """The same weight's name in torchvision."""
    name = name.replace("embedder.embedder.convolution", "conv1").replace("embedder.embedder.normalization", "bn1")
    stage = re.match(r"encoder\.stages\.(\d)\.layers\.(\d)\.(.*)", name)
    if stage is None:
        return name
    rest = stage[3].replace("shortcut.convolution", "downsample.0").replace("shortcut.normalization", "downsample.1")
    rest = re.sub(r"layer\.(\d)\.convolution", lambda m: f"conv{int(m[1]) + 1}", rest)
    rest = re.sub(r"layer\.(\d)\.normalization", lambda m: f"bn{int(m[1]) + 1}", rest)
    return f"layer{int(stage[1]) + 1}.{stage[2]}.{rest}"


class FaceEmotionRegressor(nn.Module):
    """A ResNet-18, dropout, and a head for each of valence and arousal."""

    def __init__(self, backbone: nn.Module | None = None, dropout_rate: float = 0.3, hidden: int = 128) -> None:
        super().__init__()
        self.backbone = backbone or TorchvisionResNet()
        self.dropout = nn.Dropout(dropout_rate)
        self.valence_head = nn.Sequential(nn.Linear(512, hidden), nn.ReLU(), self.dropout, nn.Linear(hidden, 1))
        self.arousal_head = nn.Sequential(nn.Linear(512, hidden), nn.ReLU(), self.dropout, nn.Linear(hidden, 1))

    def forward(self, face_images: Tensor) -> Tensor:
        """float32 [N, 3, H, W] to valence and arousal, [N, 2]."""
        return self.from_features(self.features(face_images))

    def features(self, face_images: Tensor) -> Tensor:
        """The trunk's part, [N, 512]."""
        result: Tensor = self.backbone(face_images)
        return result

    def from_features(self, features: Tensor) -> Tensor:
        """The heads' part, dropout included: [N, 512] to [N, 2]."""
        features = self.dropout(features)
        return torch.cat([self.valence_head(features), self.arousal_head(features)], dim=1)


def mc_forward(model: nn.Module, pictures: Tensor, n_samples: int) -> Tensor:
    """The document's loop: whole passes with dropout active, [T, 2] for one picture.

    Dropout alone is switched on, as decided: with the whole model in training mode BatchNorm would take the statistics
    of a single picture.
    """
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    with torch.no_grad():
        return torch.cat([model(pictures) for _ in range(n_samples)])


def scene_model(seed: int = 0, **sizes: int) -> SceneEmotionRegressor:
    """A small one, for tests."""
    torch.manual_seed(seed)
    return SceneEmotionRegressor(small_clip(**sizes)).eval()


def face_model(seed: int = 0, depths: tuple[int, ...] = (2, 2, 2, 2), hidden: int = 128) -> FaceEmotionRegressor:
    """One of any depth, for tests."""
    torch.manual_seed(seed)
    return FaceEmotionRegressor(TorchvisionResNet(depths), hidden=hidden).eval()
