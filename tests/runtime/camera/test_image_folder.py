from __future__ import annotations

import logging
from pathlib import Path

import cv2
import pytest
from fake_camera import picture
from made_pictures import number_of, write_pictures

from emomusic_edge.errors import SourceError
from emomusic_edge.runtime.camera import ImageFolder


def read_all(source: ImageFolder) -> list:
    source.open()
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return frames


def test_names_with_numbers_come_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    frames = read_all(ImageFolder(write_pictures(tmp_path, frames=12)))
    assert [number_of(frame.image) for frame in frames] == list(range(12))


def test_a_broken_picture_is_passed_over_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pictures(tmp_path, frames=4)
    (tmp_path / "img1.png").write_bytes(b"no picture")
    (tmp_path / "img2.png").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        frames = read_all(ImageFolder(tmp_path, seconds_per_picture=0.5))
    assert [number_of(frame.image) for frame in frames] == [0, 3]
    assert [(frame.seq, frame.captured_at_s) for frame in frames] == [(0, 0.0), (1, 0.5)]
    assert "img1.png" in caplog.text
    assert "img2.png" in caplog.text


def test_other_files_and_sub_folders_are_left_alone(tmp_path: Path) -> None:
    write_pictures(tmp_path, frames=2)
    (tmp_path / "readme.txt").write_text("not a picture")
    write_pictures(tmp_path / "sub.png")
    assert len(read_all(ImageFolder(tmp_path))) == 2


def test_a_grey_and_a_see_through_picture_come_as_colour(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture(40)[:, :, 0])
    cv2.imwrite(str(tmp_path / "b.png"), cv2.cvtColor(picture(40), cv2.COLOR_BGR2BGRA))
    assert [frame.image.shape for frame in read_all(ImageFolder(tmp_path))] == [(48, 64, 3)] * 2


def test_none_that_decodes_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="not one picture"):
        read_all(ImageFolder(tmp_path))


def test_a_folder_without_pictures_does_not_open(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(SourceError, match="holds no pictures"):
        ImageFolder(tmp_path).open()
    with pytest.raises(SourceError, match="cannot be read"):
        ImageFolder(tmp_path / "none").open()


def test_a_picture_needs_time(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seconds_per_picture"):
        ImageFolder(tmp_path, seconds_per_picture=0.0)
