from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.runtime.camera.mjpg import MjpgDecoder

IMAGE = np.random.default_rng(3).integers(0, 255, (48, 64, 3)).astype(np.uint8)
JPEG = cv2.imencode(".jpg", IMAGE)[1].tobytes()


def as_opencv_gives_it(jpeg: bytes) -> np.ndarray:
    return np.frombuffer(jpeg, np.uint8).reshape(1, -1)


def test_a_whole_picture_decodes_as_opencv_does_it() -> None:
    decoder = MjpgDecoder()
    image = decoder.decode(as_opencv_gives_it(JPEG))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, cv2.imdecode(np.frombuffer(JPEG, np.uint8), cv2.IMREAD_COLOR))
    assert decoder.corrupt == 0


def test_a_grey_picture_comes_in_colour() -> None:
    grey = cv2.imencode(".jpg", IMAGE[:, :, 0])[1].tobytes()
    assert MjpgDecoder().decode(as_opencv_gives_it(grey)).shape == (48, 64, 3)


@pytest.mark.parametrize(
    "bad", [b"", bytes(1000), JPEG[: len(JPEG) // 2], JPEG[2:], JPEG[:20] + JPEG[-2:], b"\xff\xd8"]
)
def test_what_is_not_whole_is_passed_over_and_counted(bad: bytes) -> None:
    decoder = MjpgDecoder()
    decoder.decode(as_opencv_gives_it(JPEG))
    assert decoder.decode(as_opencv_gives_it(bad)) is None
    assert decoder.corrupt == 1


def test_padding_behind_the_end_is_no_fault() -> None:
    assert MjpgDecoder().decode(as_opencv_gives_it(JPEG + bytes(4096))) is not None


def test_most_are_corrupt_when_more_than_half_of_thirty_are() -> None:
    decoder = MjpgDecoder()
    decoder.decode(as_opencv_gives_it(JPEG))
    for number in range(15):
        decoder.decode(as_opencv_gives_it(b"junk"))
        assert not decoder.most_corrupt, number
    decoder.decode(as_opencv_gives_it(b"junk"))
    assert decoder.most_corrupt
    for _ in range(15):
        decoder.decode(as_opencv_gives_it(JPEG))
    assert not decoder.most_corrupt


@given(st.binary(max_size=300), st.integers(0, len(JPEG)), st.integers(0, 50))
def test_no_bytes_make_it_fail(noise: bytes, at: int, cut: int) -> None:
    decoder = MjpgDecoder()
    image = decoder.decode(as_opencv_gives_it(JPEG[:at] + noise + JPEG[at + cut :]))
    assert image is None or image.ndim == 3
