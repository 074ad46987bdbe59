"""Small networks that behave (a two-layer tower, a ResNet at 64 px), and modelopt in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import Material

from emomusic_edge.export.precision.modelopt_env import ModeloptEnvironment, modelopt_environment

if TYPE_CHECKING:
    from exported_networks import Exported


@pytest.fixture(scope="session")
def small_tower(material: Material) -> Exported:
    """A tower of two layers, 128 wide, at 64 px."""
    from exported_networks import exported, picture_sets

    from emomusic_edge.export.network.clip_tower import ClipTower, ClipTowerSizes
    from emomusic_edge.export.network.masked import CLIP
    from emomusic_edge.export.network.reference import reference_of_tower
    from emomusic_edge.export.network.regressor import HeadShape

    sizes = ClipTowerSizes(image_px=64, patch_px=16, width=128, layers=2, mlp_width=512, projection=64)
    head = HeadShape(features=64, hidden=(32, 16), layer_norm=True)
    return exported(reference_of_tower(ClipTower(sizes), head, 64), CLIP, picture_sets(material, 64))


@pytest.fixture(scope="session")
def small_resnet(material: Material) -> Exported:
    """ResNet-18's layout with one block a stage, at 64 px."""
    from exported_networks import exported, picture_sets

    from emomusic_edge.export.network.masked import IMAGENET
    from emomusic_edge.export.network.reference import HEADS, reference_of_resnet
    from emomusic_edge.export.network.resnet import ResNetTrunk

    regressor = reference_of_resnet(ResNetTrunk((1, 1, 1, 1)), HEADS["face"], 64)
    return exported(regressor, IMAGENET, picture_sets(material, 64))


@pytest.fixture(scope="session")
def modelopt(material: Material) -> ModeloptEnvironment:
    """modelopt from the cache, fetched on first use."""
    return modelopt_environment(material.cache_dir)
