"""What is kept of pause and `camera` `OFF`, and how the loop begins with it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from pathlib import Path

import pytest
from rich.console import Console

from emomusic_edge.cli.demo import _camera_or_clip
from emomusic_edge.config.settings import PathsSettings, Settings
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.app.frames import feed_of
from emomusic_edge.runtime.privacy import paused_state
from emomusic_edge.runtime.privacy.paused_state import CameraWishes, KeptWishes

PAUSED = CameraWishes(paused=True)
OFF = CameraWishes(on=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "camera.json"


def test_at_first_the_camera_is_wanted_and_there_is_no_file(path: Path) -> None:
    kept = KeptWishes(path)
    assert kept.now == CameraWishes()
    assert kept.now.open
    assert not path.parent.exists()


@pytest.mark.parametrize("wishes", [PAUSED, OFF, CameraWishes(on=False, paused=True)])
def test_closed_outlasts_the_process_and_opened_again_leaves_nothing(path: Path, wishes: CameraWishes) -> None:
    KeptWishes(path).set(wishes)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    later = KeptWishes(path)
    assert later.now == wishes
    assert not later.now.open
    later.set(CameraWishes())
    assert KeptWishes(path).now.open
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 100, b'{"camera_on": 1, "paused": false}', b"[" * 100_000])
def test_a_file_that_says_nothing_means_closed_until_told_otherwise(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    kept = KeptWishes(path)
    assert not kept.now.on
    assert kept.now.paused
    assert str(path) in kept.reason
    assert "`resume` and `camera` `ON`" in kept.reason
    kept.set(OFF)
    assert kept.reason == ""
    assert KeptWishes(path).now == OFF


def test_a_file_that_cannot_be_read_means_closed(path: Path) -> None:
    path.mkdir(parents=True)
    assert not KeptWishes(path).now.open


def test_what_cannot_be_written_holds_all_the_same_and_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = KeptWishes(path)
    with monkeypatch.context() as broken:
        broken.setattr(paused_state, "write_atomic", full)
        kept.set(PAUSED)
    assert kept.now == PAUSED
    assert "No space left" in kept.reason
    assert "after a restart the camera may open" in kept.reason
    # Said once more, it is tried once more.
    kept.set(PAUSED)
    assert kept.reason == ""
    assert KeptWishes(path).now == PAUSED


def test_without_a_file_it_holds_for_the_process() -> None:
    kept = KeptWishes()
    kept.set(PAUSED)
    assert kept.now == PAUSED


def test_the_demo_leaves_a_paused_camera_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object, **__: object) -> None:
        pytest.fail("a camera was looked for")

    monkeypatch.setattr("emomusic_edge.runtime.camera.source_from", opened)
    settings = Settings(paths=PathsSettings(data_dir=tmp_path, cache_dir=tmp_path))
    KeptWishes(DataLayout(tmp_path).camera_wishes).set(PAUSED)
    said = io.StringIO()
    source, on_clip = _camera_or_clip(settings, fast=False, console=Console(file=said))
    assert on_clip
    assert source.endswith(".mp4")
    assert "The camera is paused or switched off" in said.getvalue()


def test_a_camera_that_is_to_stay_closed_is_not_opened_to_see_whether_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gives(*_: object) -> bool:
        pytest.fail("a camera was opened")

    monkeypatch.setattr("emomusic_edge.runtime.camera._gives_pictures", gives)
    _, feed, is_camera = feed_of(Settings(), contextlib.ExitStack(), fast=False, loop=False, closed=True)
    assert is_camera
    feed.close()
