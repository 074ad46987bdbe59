from __future__ import annotations

from pathlib import Path

import pytest
from fake_camera import FakeCamera

from emomusic_edge.errors import SourceError
from emomusic_edge.runtime.camera import CameraNode, FollowedCamera

BY_ID = Path("/dev/v4l/by-id")


class Desk:
    """Cameras that are plugged in and pulled out: a number, a link by name or none, and a card each."""

    def __init__(self) -> None:
        self.nodes: dict[str, CameraNode] = {}
        self.opened: list[str] = []
        self.made: list[str] = []
        self.blind: set[str] = set()

    def plug_in(self, number: int, card: str = "C920", by_id: bool = True) -> None:
        path = Path(f"/dev/video{number}")
        self.nodes[str(path)] = CameraNode(path, BY_ID / card if by_id else None, card)

    def unplug(self, number: int) -> None:
        del self.nodes[f"/dev/video{number}"]

    def node(self, device: str) -> CameraNode | None:
        return next((node for node in self.nodes.values() if device in (str(node.device), str(node.path))), None)

    def make(self, device: str) -> DeskCamera:
        self.made.append(device)
        return DeskCamera(self, device)

    def camera(self, wanted: str | None) -> FollowedCamera:
        return FollowedCamera(Path(wanted) if wanted else None, self.make, lambda: list(self.nodes.values()))


class DeskCamera(FakeCamera):
    def __init__(self, desk: Desk, device: str) -> None:
        super().__init__()
        self.name = device
        self._desk = desk

    def open(self) -> None:
        node = self._desk.node(self.name)
        if node is None:
            raise SourceError(f"{self.name} is not there.")
        super().open()
        self._desk.opened.append(str(node.path))
        if str(node.path) in self._desk.blind:
            self.fail()

    def allow(self) -> None:
        pass

    def interrupt(self) -> None:
        self.close()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("wanted", [None, "/dev/video0"])
@pytest.mark.parametrize("by_id", [True, False])
def test_a_camera_that_comes_back_under_another_number_is_found(desk: Desk, wanted: str | None, by_id: bool) -> None:
    desk.plug_in(0, by_id=by_id)
    camera = desk.camera(wanted)
    camera.open()
    assert camera.read().seq == 0
    desk.unplug(0)
    with pytest.raises(SourceError):
        camera.open()
    desk.plug_in(4, by_id=by_id)
    camera.open()
    assert desk.opened == ["/dev/video0", "/dev/video4"]
    assert camera.read().seq == 1


def test_two_cameras_that_swapped_their_numbers_are_not_taken_for_each_other(desk: Desk) -> None:
    desk.plug_in(0, "C920")
    desk.plug_in(1, "Brio")
    camera = desk.camera("/dev/video0")
    camera.open()
    desk.nodes.clear()
    desk.plug_in(0, "Brio")
    desk.plug_in(1, "C920")
    camera.open()
    assert desk.opened == ["/dev/video0", "/dev/video1"]


def test_a_number_is_not_answered_with_a_camera_of_another_kind(desk: Desk) -> None:
    desk.plug_in(0, "C920")
    camera = desk.camera("/dev/video0")
    camera.open()
    desk.unplug(0)
    desk.plug_in(1, "Brio")
    with pytest.raises(SourceError, match="video0"):
        camera.open()


def test_auto_takes_the_first_that_gives_a_picture_and_keeps_to_it(desk: Desk) -> None:
    desk.plug_in(0, "infrared")
    desk.plug_in(1, "C920")
    desk.blind = {"/dev/video0"}
    camera = desk.camera(None)
    camera.open()
    assert camera.name == str(BY_ID / "C920")
    desk.blind = set()
    camera.open()
    assert desk.opened == ["/dev/video0", "/dev/video1", "/dev/video1"]


def test_auto_takes_another_when_its_own_is_gone(desk: Desk) -> None:
    desk.plug_in(0, "C920")
    camera = desk.camera(None)
    camera.open()
    desk.unplug(0)
    desk.plug_in(1, "Brio")
    camera.open()
    assert desk.opened == ["/dev/video0", "/dev/video1"]


@pytest.mark.parametrize(("wanted", "told"), [(None, "No camera"), ("/dev/video0", "/dev/video0 is not there")])
def test_a_camera_missing_at_boot_is_taken_when_it_comes(desk: Desk, wanted: str | None, told: str) -> None:
    camera = desk.camera(wanted)
    with pytest.raises(SourceError, match=told):
        camera.open()
    desk.plug_in(0)
    camera.open()
    assert camera.read() is not None


def test_interrupted_it_opens_nothing_until_it_may(desk: Desk) -> None:
    desk.plug_in(0)
    camera = desk.camera(None)
    camera.interrupt()
    with pytest.raises(SourceError, match="closed"):
        camera.open()
    camera.allow()
    camera.open()
    assert camera.read() is not None


def test_before_a_camera_is_known_it_is_named_by_the_wish(desk: Desk) -> None:
    assert desk.camera("/dev/video3").name == "/dev/video3"
    assert desk.camera(None).name == "the camera"


def test_a_device_keeps_its_source_so_that_it_remembers_how_slowly_it_opens(desk: Desk) -> None:
    desk.plug_in(0)
    camera = desk.camera(None)
    for _ in range(3):
        camera.open()
        camera.close()
    assert desk.made == [str(BY_ID / "C920")]
