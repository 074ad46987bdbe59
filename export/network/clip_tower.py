"""CLIP's image tower (ViT) with its projection, as transformers builds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

Activation = Literal["quick_gelu", "gelu"]

# Every published CLIP image tower has heads 64 wide (Radford et al. 2021, table 20), and no shape tells their number.
HEAD_WIDTH = 64


@dataclass(frozen=True, slots=True)
class ClipTowerSizes:
    """What the shapes of a checkpoint tell.

    Attributes:
        image_px: height and width of the picture.
        patch_px: of a patch.
        width: of the residual stream.
        layers: of the transformer.
        mlp_width: of the hidden layer in each block.
        projection: features that come out.
    """

    image_px: int
    patch_px: int
    width: int
    layers: int
    mlp_width: int
    projection: int

    @property
    def name(self) -> str:
        """`ViT-B/32` and its like; by its sizes where it is none of CLIP's."""
        size = {(768, 12): "B", (1024, 24): "L"}.get((self.width, self.layers))
        return f"ViT-{size}/{self.patch_px}" if size else f"ViT-{self.width}x{self.layers}/{self.patch_px}"


class ClipTower(nn.Module):
    """Pictures float32 [N, 3, H, W] -> features float32 [N, projection]: CLIPModel.get_image_features.

    CLIP trains without attention dropout, so that the tower is deterministic in training mode too.
    """

    def __init__(self, sizes: ClipTowerSizes, activation: Activation = "quick_gelu") -> None:
        """Build the tower.

        Args:
            sizes: as read off the shapes.
            activation: of the MLPs; OpenAI's checkpoints have quick_gelu, most of LAION's gelu. No shape tells.
        """
        super().__init__()
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        config = CLIPVisionConfig(
            image_size=sizes.image_px,
            patch_size=sizes.patch_px,
            hidden_size=sizes.width,
            num_hidden_layers=sizes.layers,
            num_attention_heads=max(sizes.width // HEAD_WIDTH, 1),
            intermediate_size=sizes.mlp_width,
            projection_dim=sizes.projection,
            hidden_act=activation,
            attention_dropout=0.0,
        )
        # Plain products and a softmax: what every parser of the graph knows.
        config._attn_implementation = "eager"
        inner = CLIPVisionModelWithProjection(config)
        self.vision_model = inner.vision_model
        self.visual_projection = inner.visual_projection

    def forward(self, pictures: Tensor) -> Tensor:
        """The projected class token."""
        pooled = self.vision_model(pixel_values=pictures).pooler_output
        features: Tensor = self.visual_projection(pooled)
        return features
