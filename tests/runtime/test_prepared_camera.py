"""A camera's process starts beside the loading of the models, unless the camera is to stay closed."""

from __future__ import annotations

import contextlib

import pytest
from fake_camera import FakeCamera

from emomusic_edge.config import Settings
from emomusic_edge.runtime.app import frames


class PreparableCamera(FakeCamera):
    """Writes down what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def prepare(self) -> None:
        self.asked.append("prepare")

    def open(self) -> None:
        self.asked.append("open")
        super().open()

    def close(self) -> None:
        self.asked.append("close")
        super().close()


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> PreparableCamera:
    camera = PreparableCamera()
    monkeypatch.setattr(frames, "source_from", lambda *_, **__: camera)
    return camera


def test_it_is_prepared_not_opened_and_closed_when_the_models_do_not_load(camera: PreparableCamera) -> None:
    with contextlib.ExitStack() as unstarted:
        frames.feed_of(Settings(), unstarted, fast=False, loop=False)
        assert camera.asked == ["prepare"]
    assert camera.asked == ["prepare", "close"]


def test_a_camera_that_is_to_stay_closed_is_not_prepared(camera: PreparableCamera) -> None:
    with contextlib.ExitStack() as unstarted:
        frames.feed_of(Settings(), unstarted, fast=False, loop=False, closed=True)
    assert camera.asked == []
