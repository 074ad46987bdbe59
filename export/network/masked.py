"""The network that is exported: the trunk once, T mask rows through the heads, mean and variance over the rows.

Dropout as an explicit input is exact: bernoulli(1 - p) / (1 - p) times the activation is what nn.Dropout computes, and
nothing is random in the trunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emomusic_edge.manifest import MaskBlock

from .one_picture import features_of_one
from .regressor import AXES, AffectRegressor


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What the graph does to the uint8 values: (x / 255 - mean) / sd, a channel at a time, RGB.

    Attributes:
        name: `clip` or `imagenet`.
        mean, sd: of values 0..1.
    """

    name: str
    mean: tuple[float, float, float]
    sd: tuple[float, float, float]

    @property
    def words(self) -> str:
        """For the manifest."""
        return f"(x / 255 - {list(self.mean)}) / {list(self.sd)}, RGB ({self.name})"


# CLIPProcessor's image_mean and image_std; torchvision's for its ImageNet weights.
CLIP = Normalisation("clip", (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET = Normalisation("imagenet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
NORMALISATIONS = {norm.name: norm for norm in (CLIP, IMAGENET)}


def mask_layout(regressor: AffectRegressor) -> tuple[MaskBlock, ...]:
    """Which mask columns stand for which dropout: the features', shared by both heads, then each head's own."""
    features = next(iter(regressor.head_shapes.values())).features
    blocks = [MaskBlock(name="features", offset=0, width=features)]
    for axis in AXES:
        for place, width in enumerate(regressor.head_shapes[axis].hidden, start=1):
            end = blocks[-1].offset + blocks[-1].width
            blocks.append(MaskBlock(name=f"{axis}_hidden_{place}", offset=end, width=width))
    return tuple(blocks)


class MaskedRegressor(nn.Module):
    """`image` uint8 [1, H, W, 3] RGB and `masks` float32 [T, K] -> `mean` [2], `variance` [2], `samples` [T, 2]."""

    def __init__(self, regressor: AffectRegressor, normalisation: Normalisation) -> None:
        """Wrap a regressor; its weights are shared, not copied."""
        super().__init__()
        self.regressor = regressor
        self.layout = mask_layout(regressor)
        scale = 1.0 / (255.0 * torch.tensor(normalisation.sd, dtype=torch.float64))
        offset = -torch.tensor(normalisation.mean, dtype=torch.float64) / torch.tensor(normalisation.sd).double()
        self.register_buffer("scale", scale.float().reshape(1, 3, 1, 1))
        self.register_buffer("offset", offset.float().reshape(1, 3, 1, 1))
        self.eval()

    @property
    def mask_width(self) -> int:
        """K."""
        return self.layout[-1].offset + self.layout[-1].width

    def normalised(self, image: Tensor) -> Tensor:
        """uint8 [N, H, W, 3] -> float32 [N, 3, H, W] as the trunk takes it."""
        # The cast comes first: TensorRT takes uint8 as an input and for nothing else.
        pictures = image.float().permute(0, 3, 1, 2)
        return pictures * self.get_buffer("scale") + self.get_buffer("offset")

    def forward(self, image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        return self._answers(features_of_one(self.regressor.backbone, self.normalised(image)), masks)

    def as_trained(self, image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same by the trunk's own forward pass: what the graph is held against."""
        return self._answers(self.regressor.backbone(self.normalised(image)), masks)

    def _answers(self, features: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        samples = self.sampled(features, masks)
        mean = samples.mean(dim=0)
        apart = samples - mean
        # As torch.var for T > 1; 0 for T = 1, where torch gives NaN.
        freedom = torch.clamp(torch.ones_like(samples).sum(dim=0) - 1.0, min=1.0)
        return mean, (apart * apart).sum(dim=0) / freedom, samples

    def sampled(self, features: Tensor, masks: Tensor) -> Tensor:
        """Features [1, D] and mask rows [T, K] -> samples [T, 2]."""
        columns = {block.name: masks[:, block.offset : block.offset + block.width] for block in self.layout}
        dropped = features * columns["features"]
        answers = []
        for axis in AXES:
            x = dropped
            place = 0
            # Not children(): it names the one Dropout module, which stands in every place, only once.
            for layer in getattr(self.regressor, f"{axis}_head"):
                if isinstance(layer, nn.Dropout):
                    place += 1
                    x = x * columns[f"{axis}_hidden_{place}"]
                else:
                    x = layer(x)
            answers.append(x)
        return torch.cat(answers, dim=1)
