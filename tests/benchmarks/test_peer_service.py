"""The service's figures: run with nothing of the user's, hand-overs counted whole or not at all, noise timed."""

from __future__ import annotations

import itertools
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from peers.inputs import Inputs
from peers.service import Watch, timed_hand_over
from side_by_side.made_camera import MadeCamera, made_camera
from side_by_side.service import ServiceFigures, _settings, run_command
from side_by_side.worker_process import PeerError, plain_environment

from emomusic_edge.config import Settings, load_config, parse_assignments
from emomusic_edge.contracts import Frame
from emomusic_edge.runtime.bench.noise import noise_verdict, timings_ms
from emomusic_edge.runtime.capture import LatestFrameCapture

FRAME = Frame(seq=0, captured_at_s=0.0, image=np.zeros((2, 2, 3), np.uint8))


class GatedSource:
    """A camera that gives a frame each time it is let to."""

    live = True
    name = "gated"

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.closed = False

    def open(self) -> None:
        pass

    def read(self) -> Frame | None:
        while not self.gate.acquire(timeout=0.05):
            if self.closed:
                return None
        return FRAME

    def close(self) -> None:
        pass


def test_a_hand_over_counts_in_full_when_the_frame_lay_ready_and_not_when_it_was_waited_for() -> None:
    watch, source, now_s = Watch(), GatedSource(), itertools.count(0.0, 0.005)
    capture = LatestFrameCapture(source)
    # each takes 5 ms by this clock
    take = timed_hand_over(LatestFrameCapture.next, watch.hand_over, lambda: next(now_s))
    capture.start()
    try:
        # nothing there: neither a hand-over nor a frame
        assert take(capture, 0.0) is None
        source.gate.release()
        with capture._changed:
            assert capture._changed.wait_for(lambda: capture._slot is not None, 30.0)
        assert take(capture, 30.0) is FRAME
        watch.step(40.0)
        threading.Timer(0.1, source.gate.release).start()
        assert take(capture, 30.0) is FRAME
        watch.step(40.0)
    finally:
        source.closed = True
        capture.close()
    assert watch.frames_ready == 1
    assert watch.step_ms == pytest.approx([45.0, 40.0])
    assert watch.neither_ms == pytest.approx([45.0, 40.0])


def test_the_command_runs_with_the_settings_of_the_watched_run_and_nothing_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    users = tmp_path / "config" / "emomusic-edge" / "config.toml"
    users.parent.mkdir(parents=True)
    users.write_text("[loop]\nframes_per_second = 1.0\n[models]\nsamples = 5\n")
    assert load_config(None, {}, {}).models.samples == 5
    inputs = Inputs(tmp_path, FRAME.image, (0, 0, 1, 1), {f"{s}-int8": tmp_path / s for s in ("scene", "face")})
    settings = _settings(inputs, tmp_path / "clip.mp4", 1883)
    command = run_command(settings, tmp_path)
    config = Path(command[command.index("--config") + 1])
    assigned = [command[place + 1] for place, word in enumerate(command) if word == "--set"]
    environment = plain_environment(
        {"EMOMUSIC_MODELS__SAMPLES": "7", "emomusic_loop__frames_per_second": "2", "PATH": "/bin"}
    )
    assert environment == {"PATH": "/bin"}
    found = load_config(config, parse_assignments(assigned), environment)
    assert found == Settings.model_validate(settings)


def test_a_run_with_the_camera_is_the_same_but_for_its_source(tmp_path: Path) -> None:
    settings = {"camera": {"source": "clip.mp4"}, "player": {"muted": True}}
    at_clip = run_command(settings, tmp_path)
    through_camera = run_command(settings, tmp_path, MadeCamera(tmp_path / "dev", "camera.so"))
    expected = ["camera.source=0" if word == "camera.source=clip.mp4" else word for word in at_clip if word != "--loop"]
    assert through_camera[-len(expected) :] == expected
    assert through_camera[0] == "unshare"


def test_only_the_run_sees_the_camera(tmp_path: Path) -> None:
    try:
        camera = made_camera(tmp_path)
    except PeerError as error:
        pytest.skip(str(error))
    inside = subprocess.run(camera.before(["ls", "/dev"]), check=True, capture_output=True, text=True).stdout.split()
    assert {"video0", "null", "shm"} <= set(inside)
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_a_place_gives_five_timings_of_the_fixed_work_and_leaves_the_first_out() -> None:
    now_s, runs_ms = [0.0], iter([90.0, 3.0, 3.0, 3.0, 3.0, 3.0])

    def work() -> None:
        now_s[0] += next(runs_ms) / 1e3

    assert timings_ms(work, lambda: now_s[0]) == pytest.approx([3.0] * 5)


def test_one_disturbed_place_of_eight_is_seen() -> None:
    figures = ServiceFigures([], [], [], [], [], [], 0, noise_ms=[3.0] * 35 + [6.0] * 5)
    assert not noise_verdict(figures.noise_ms).trusted
