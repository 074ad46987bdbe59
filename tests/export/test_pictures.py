from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from emomusic_edge.errors import ModelError
from emomusic_edge.export.pictures import (
    _CALIBRATION,
    _HELD,
    LEAST_CALIBRATION,
    LEAST_HELD,
    MOST_CALIBRATION,
    MOST_HELD,
    PictureSets,
    at_camera_sizes,
    folder_pictures,
)


def test_calibration_and_held_pictures_come_out_of_different_files() -> None:
    assert not {shot.file for shot in _CALIBRATION} & {shot.file for shot in _HELD}


@pytest.mark.parametrize("kind", ["scenes", "faces"])
def test_no_held_picture_is_nearly_one_that_calibrates(kind: str, request: pytest.FixtureRequest) -> None:
    sets: PictureSets = request.getfixturevalue(kind)
    small = [[cv2.resize(p, (48, 48)).astype(float) for p in part] for part in (sets.calibration, sets.held)]
    nearest = min(np.abs(a - b).mean() for a in small[0] for b in small[1])
    assert nearest > 15, "grey levels of 255, on average"


def test_there_are_enough_of_both(scenes: PictureSets, faces: PictureSets) -> None:
    for sets in (scenes, faces):
        assert len(sets.held) >= LEAST_HELD
        assert len(sets.calibration) >= LEAST_CALIBRATION
        assert all(p.dtype == np.uint8 and p.ndim == 3 and p.std() > 5 for p in (*sets.held, *sets.calibration))


def test_the_boxes_are_where_a_detector_finds_faces(faces: PictureSets, starter_layout: object) -> None:
    """The short-range detector, which did not draw them, agrees on most crops."""
    from emomusic_edge.manifest import read_bundle
    from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
    from emomusic_edge.runtime.faces.blazeface import BlazeFace

    manifest, content = read_bundle(starter_layout.bundle("blazeface-short"))  # type: ignore[attr-defined]
    detector = BlazeFace(OrtEngine(content, name="x"), manifest, min_score=0.5)
    crops = (*faces.held, *faces.calibration)
    found = 0
    for crop in crops:
        wide = cv2.copyMakeBorder(crop, *[crop.shape[0] // 2] * 4, cv2.BORDER_REPLICATE)
        found += bool(detector.detect(np.asarray(wide, np.uint8)))
    assert found >= 0.8 * len(crops)


def test_camera_sizes(scenes: PictureSets) -> None:
    sized = at_camera_sizes(scenes.held)
    assert {p.shape[:2] for p in sized} == {(480, 640), (641, 853), (720, 1280), (1080, 1920)}
    assert all(picture.std() > 5 for picture in sized)
    assert len(sized) >= len(scenes.held)


def write(folder: Path, count: int) -> Path:
    for number in range(count):
        (folder / "deeper").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / ("deeper" if number % 2 else ".") / f"{number:02d}.png"), np.full((9, 9, 3), number))
    return folder


def test_a_folder_of_ones_own_is_split_in_two(tmp_path: Path) -> None:
    sets = folder_pictures(write(tmp_path, 24))
    assert (len(sets.calibration), len(sets.held)) == (8, 16)
    levels = [[int(picture[0, 0, 0]) for picture in part] for part in (sets.calibration, sets.held)]
    assert sorted(levels[0] + levels[1]) == list(range(24))
    assert str(tmp_path) not in sets.told


def test_of_a_large_folder_some_are_taken_from_all_over(tmp_path: Path) -> None:
    for number in range(200):
        cv2.imwrite(str(tmp_path / f"{number:03d}.png"), np.full((9, 9, 3), number))
    sets = folder_pictures(tmp_path)
    calibration, held = ([int(p[0, 0, 0]) for p in part] for part in (sets.calibration, sets.held))
    assert (len(calibration), len(held)) == (MOST_CALIBRATION, MOST_HELD)
    # frames of one moment, neighbours by name, stay on one side
    assert max(calibration) < min(held)
    assert max(held) > 190
    assert max(np.diff(held)) <= 5


def test_a_picture_larger_than_any_cameras_is_made_smaller(tmp_path: Path) -> None:
    for number in range(24):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), np.zeros((3000, 4000, 3), np.uint8))
    assert {p.shape for p in folder_pictures(tmp_path).held} == {(1920, 2560, 3)}


def test_a_folder_that_will_not_do_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no folder"):
        folder_pictures(tmp_path / "none")
    with pytest.raises(ModelError, match="holds 5 pictures, at least 24"):
        folder_pictures(write(tmp_path, 5))
    write(tmp_path, 24)
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    with pytest.raises(ModelError, match=r"broken\.jpg does not decode"):
        folder_pictures(tmp_path)
