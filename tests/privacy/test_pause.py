"""Pause and `camera` `OFF` close the camera, and a restart leaves it closed: the program itself, its descriptors."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from broker import Heard, Listener, wait_until
from closed_room import ClosedRoom, Service
from witness import seen_in

pytestmark = pytest.mark.broker

_log = logging.getLogger(__name__)

STATE = "emomusic/room/state"

# docs/privacy.md
PROMISED_S = 1.0
PAUSES = 3
SLACK = 3.0
"""Of one among them: these machines are busy."""


def camera_told(on: bool) -> Callable[[Heard], bool]:
    return lambda heard: heard.json["camera_on"] is on


class Told:
    """The listener, from a moment on."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.anew()

    def anew(self) -> None:
        self._past = len(self._listener.all(STATE))

    def wait(self, on: bool) -> None:
        """Until a state since anew() tells that the camera is on, or off."""
        wait_until(
            lambda: any(map(camera_told(on), self._listener.all(STATE)[self._past :])), f"a state with camera_on {on}"
        )

    def never(self, on: bool) -> bool:
        return not any(map(camera_told(on), self._listener.all(STATE)[self._past :]))


def test_pause_closes_the_camera_and_a_restart_does_not_open_it(
    room: ClosedRoom, listener: Listener, service: Service, tmp_path: Path
) -> None:
    told = Told(listener)
    run = service()
    took_s: list[float] = []
    for attempt in range(PAUSES):
        told.wait(True)
        wait_until(room.camera_held, "the camera to be opened")
        told.anew()
        asked_s = time.monotonic()
        listener.send("emomusic/room/cmd/pause")
        wait_until(lambda: not room.camera_held(), "the camera to be closed")
        took_s.append(time.monotonic() - asked_s)
        told.wait(False)
        if attempt < PAUSES - 1:
            told.anew()
            listener.send("emomusic/room/cmd/resume")
    _log.info("from pause to the closed camera: %s s", ", ".join(f"{one_s:.3f}" for one_s in took_s))
    assert statistics.median(took_s) < PROMISED_S
    assert max(took_s) < SLACK * PROMISED_S
    wait_until((room.data / "camera.json").exists, "the pause to be written down")
    assert run.stop() == 0

    told.anew()
    again = service(traces=tmp_path / "traces")
    told.wait(False)
    listener.wait("emomusic/room/health", count=len(listener.all("emomusic/room/health")) + 1)
    assert told.never(True)
    assert not room.camera_held()
    again.stop()
    assert not [path for path in seen_in(tmp_path / "traces", room.work).written if "video" in path]

    told.anew()
    service()
    told.wait(False)
    listener.send("emomusic/room/cmd/resume")
    told.wait(True)
    wait_until(room.camera_held, "the camera to be opened")
    assert not (room.data / "camera.json").exists()


def test_off_means_off_also_after_a_power_cut_and_a_resume(
    room: ClosedRoom, listener: Listener, service: Service
) -> None:
    room.source = "auto"
    told = Told(listener)
    run = service()
    told.wait(True)
    listener.send("emomusic/room/cmd/camera", "OFF")
    wait_until(lambda: not room.camera_held(), "the camera to be closed")
    wait_until((room.data / "camera.json").exists, "the wish to be written down")
    run.kill()

    told.anew()
    service()
    told.wait(False)
    for command in ("pause", "resume"):
        listener.send(f"emomusic/room/cmd/{command}")
        listener.wait(f"emomusic/room/cmd/{command}/result")
    listener.wait("emomusic/room/health", count=len(listener.all("emomusic/room/health")) + 1)
    assert told.never(True)
    assert not room.camera_held()
    listener.send("emomusic/room/cmd/camera", "ON")
    told.wait(True)
    wait_until(room.camera_held, "the camera to be opened")
