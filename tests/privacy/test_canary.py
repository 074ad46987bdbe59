"""What the camera sees is found nowhere: a picture of noise that cannot come about by chance is looked for."""

from __future__ import annotations

import base64
import signal
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from broker import Listener, wait_until
from closed_room import ClosedRoom, Service

from emomusic_edge.contracts import Image
from emomusic_edge.runtime.privacy.no_core import dump_no_core

STATE = "emomusic/room/state"

# So many bytes of noise do not come about twice.
NEEDLE_BYTES = 16


class Canary:
    """A few pictures of noise, and what of them is looked for.

    As the camera sends them (JPEG), as OpenCV decodes them (rows of BGR), as RGB and as grey, each also in base64.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        rng = np.random.default_rng()
        self.folder = folder
        self.needles: list[bytes] = []
        for number in range(3):
            image = rng.integers(0, 256, (48, 64, 3), np.uint8)
            jpeg = cv2.imencode(".jpg", image)[1].tobytes()
            (folder / f"{number}.jpg").write_bytes(jpeg)
            self._look_for_bytes(jpeg)
            decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            self._look_for_rows(decoded)

    def _look_for_bytes(self, content: bytes) -> None:
        # Behind the tables, which all JPEGs of a maker share.
        for start in range(1024, len(content) - NEEDLE_BYTES, 211):
            self._look_for(content[start : start + NEEDLE_BYTES])

    def _look_for_rows(self, image: Image) -> None:
        for row in range(0, len(image), 5):
            stretch = image[row, 20 : 20 + NEEDLE_BYTES]
            self._look_for(stretch.tobytes()[:NEEDLE_BYTES])
            self._look_for(np.ascontiguousarray(stretch[:, ::-1]).tobytes()[:NEEDLE_BYTES])
            self._look_for(cv2.cvtColor(stretch[None], cv2.COLOR_BGR2GRAY).tobytes())

    def _look_for(self, needle: bytes) -> None:
        self.needles.append(needle)
        # At whichever of the three places in a group of base64 it begins.
        for skipped in range(3):
            whole = needle[skipped:]
            self.needles.append(base64.b64encode(whole[: len(whole) // 3 * 3]))

    def is_in(self, content: bytes) -> bool:
        return any(needle in content for needle in self.needles)


def files_of(room: ClosedRoom) -> Iterator[Path]:
    """All that the run may have written: the folders of the room but the camera's, and this user's share of memory."""
    for folder in (room.home, room.data, room.work, room.folder / "broker", room.camera.dev / "shm"):
        yield from (path for path in folder.rglob("*") if path.is_file())
    yield room.log


def found_in_files(canary: Canary, room: ClosedRoom) -> list[Path]:
    return [path for path in files_of(room) if canary.is_in(path.read_bytes())]


def show(canary: Canary, room: ClosedRoom) -> None:
    room.camera.set(f"play {canary.folder} 20")


@pytest.mark.broker
def test_what_the_camera_sees_is_in_no_file_no_message_and_no_log(
    room: ClosedRoom, listener: Listener, service: Service, tmp_path: Path
) -> None:
    canary = Canary(tmp_path / "canary")
    show(canary, room)
    run = service('log.level = "debug"', "privacy.history_h = 24.0")
    listener.wait(STATE, lambda heard: heard.json["camera_on"])
    for command, payload in (("like", ""), ("skip", ""), ("volume", "0.5"), ("camera", "junk"), ("pause", "")):
        listener.send(f"emomusic/room/cmd/{command}", payload)
        listener.wait(f"emomusic/room/cmd/{command}/result")
    listener.wait(STATE, lambda heard: not heard.json["camera_on"])
    listener.send("emomusic/room/cmd/resume")
    seen = len(listener.all(STATE))
    wait_until(lambda: any(heard.json["camera_on"] for heard in listener.all(STATE)[seen:]), "pictures after the pause")
    listener.wait("emomusic/room/health", count=len(listener.all("emomusic/room/health")) + 2)
    assert run.stop() == 0
    listener.barrier()
    assert found_in_files(canary, room) == []
    told = [heard.topic.encode() + b"\n" + heard.payload for heard in listener.all()]
    assert b"READY=1" in room.told_systemd
    assert not any(map(canary.is_in, [*told, *room.told_systemd]))


@pytest.mark.broker
def test_a_crash_leaves_no_core(room: ClosedRoom, listener: Listener, service: Service, tmp_path: Path) -> None:
    canary = Canary(tmp_path / "canary")
    show(canary, room)
    run = service()
    listener.wait(STATE, lambda heard: heard.json["camera_on"])
    # 1 byte, not 0: it also keeps the kernel from handing the core to a collector.
    assert run.core_limit == 1
    run.signal(signal.SIGSEGV)
    assert run.wait() != 0
    wait_until(lambda: not room.camera_held(), "the camera's process to end with it")
    assert [path for path in files_of(room) if path.name.startswith("core")] == []
    assert found_in_files(canary, room) == []


@pytest.mark.parametrize("form", ["jpeg", "bgr", "rgb", "grey", "base64"])
def test_the_canary_is_found_where_it_is(tmp_path: Path, form: str) -> None:
    canary = Canary(tmp_path / "canary")
    jpeg = (canary.folder / "1.jpg").read_bytes()
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    written = {
        "jpeg": jpeg,
        "bgr": image.tobytes(),
        "rgb": image[..., ::-1].tobytes(),
        "grey": cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).tobytes(),
        "base64": base64.b64encode(b"?" + image.tobytes()),
    }[form]
    assert canary.is_in(b"before" + written)
    assert not Canary(tmp_path / "another").is_in(written)


def test_the_unit_keeps_memory_off_the_disk_and_telemetry_off(repo: Path) -> None:
    unit = (repo / "systemd" / "emomusic-edge.service").read_text().splitlines()
    # Soft and hard: with a hard limit of 0 the program could not take the 1 that keeps collectors out.
    assert {"LimitCORE=0:1", "MemorySwapMax=0", "Environment=ORT_DISABLE_TELEMETRY=1"} <= set(unit)


def test_a_limit_that_is_lower_already_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from emomusic_edge.runtime.privacy import no_core

    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(no_core.resource, "setrlimit", lambda _, limits: asked.append(limits))
    for hard in (no_core.resource.RLIM_INFINITY, 4096, 0):
        monkeypatch.setattr(no_core.resource, "getrlimit", lambda _, hard=hard: (hard, hard))
        dump_no_core()
    assert asked == [(1, 1), (1, 1), (0, 0)]
