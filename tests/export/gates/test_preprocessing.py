from __future__ import annotations

import pytest

pytest.importorskip("torch")

from small_networks import Small, rule, without_numbers

from emomusic_edge.export.gates.preprocessing import BOUND, preprocessing_gate
from emomusic_edge.export.pictures import PictureSets, at_camera_sizes


@pytest.mark.parametrize("transform", ["clip", "torchvision", "torchvision-square", "opencv"])
def test_the_runtime_prepares_as_training_did(transform: str, small_scene: Small, scenes: PictureSets) -> None:
    pictures = at_camera_sizes(scenes.held)
    assert {picture.shape[:2] for picture in pictures} >= {(480, 640), (720, 1280), (1080, 1920)}
    gate = preprocessing_gate(
        small_scene.content,
        rule(transform),
        transform,  # type: ignore[arg-type]
        pictures,
        small_scene.mask_width,
    )
    assert gate.state == "passed", gate.told
    assert max(gate.figures["valence_mean_abs"], gate.figures["arousal_mean_abs"]) < BOUND / 10


def test_a_plain_resize_is_told_beside_it_and_is_worse(small_scene: Small, scenes: PictureSets) -> None:
    pictures = at_camera_sizes(scenes.held)
    gate = preprocessing_gate(small_scene.content, rule("clip"), "clip", pictures, small_scene.mask_width)
    assert gate.figures["valence_mean_abs_of_plain_cv2"] > 10 * gate.figures["valence_mean_abs"]
    assert "a plain cv2.resize" in gate.told


def test_another_crop_than_trainings_fails(small_scene: Small, scenes: PictureSets) -> None:
    """Stretched pictures into a model that was trained on the cut middle."""
    pictures = at_camera_sizes(scenes.held)
    stretched = rule("clip").model_copy(update={"crop": "none"})
    gate = preprocessing_gate(small_scene.content, stretched, "clip", pictures, small_scene.mask_width)
    assert gate.state == "failed"


def test_a_graph_that_answers_no_number_fails(small_scene: Small, scenes: PictureSets) -> None:
    pictures = at_camera_sizes(scenes.held[:3])
    gate = preprocessing_gate(without_numbers(small_scene), rule("clip"), "clip", pictures, small_scene.mask_width)
    assert gate.state == "failed"
