"""The way of a frame, step by step, and the commands that come in between."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from emomusic_edge.affect import mood_label
from emomusic_edge.contracts import (
    AffectEstimate,
    AffectModel,
    Command,
    Dislike,
    FaceBox,
    FaceDetector,
    Forget,
    Frame,
    Image,
    Like,
    Pause,
    Publisher,
    Resume,
    SetCamera,
    SetMode,
    SetMood,
    SetVolume,
    Skip,
    StateSnapshot,
)
from emomusic_edge.errors import ModelError
from emomusic_edge.preprocess import crop_face

from .capture import FrameFeed
from .faces.primary import PrimaryFace
from .fusion import FusionRule, fuse
from .music import Music, MusicState
from .stabilizer import Stabilizer
from .timing import PassingReason, RateMeter, StageTimes, Timebase

_log = logging.getLogger(__name__)

Observer = Callable[[StateSnapshot], None]

# How long one wait for a frame lasts: commands are heard and a stop is seen at least this often.
_WAIT_S = 0.1
_REFUSAL_SHOWN_S = 30.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop is made of; runtime/app.py builds it.

    Attributes:
        face_margin: what the face model wants around the face box, in box sizes.
    """

    feed: FrameFeed
    timebase: Timebase
    detector: FaceDetector
    primary: PrimaryFace
    face_model: AffectModel
    face_margin: float
    scene_model: AffectModel
    fusion: FusionRule
    stabilizer: Stabilizer
    music: Music
    publisher: Publisher
    observers: Sequence[Observer] = ()


class Loop:
    """Takes the newest frame again and again, and obeys commands."""

    def __init__(self, parts: Parts, *, frames_per_second: float) -> None:
        """Bind the parts.

        Args:
            parts: started.
            frames_per_second: how many frames a second are worked on at most.
        """
        self._parts = parts
        self._period_s = 1.0 / frames_per_second
        self._rate = RateMeter()
        self._camera_on = True
        self._paused = False
        self._seq = -1
        self._last: StateSnapshot | None = None
        self._model_reasons: dict[str, str] = {}
        self._refused = PassingReason(_REFUSAL_SHOWN_S)

    def run(self, stop: threading.Event, *, max_frames: int | None = None) -> None:
        """Go on until the frames end, `stop` is set or `max_frames` were worked on."""
        feed, timebase = self._parts.feed, self._parts.timebase
        frames = 0
        due_s = timebase.now_s()
        while not stop.is_set() and (max_frames is None or frames < max_frames):
            for command in self._parts.publisher.commands():
                self.obey(command)
            if not timebase.wait_until(due_s, stop, _WAIT_S) or stop.is_set():
                continue
            frame = feed.next(_WAIT_S)
            if frame is None:
                if feed.ended:
                    break
                if feed.reason or not self._camera_open:
                    self.idle()
                else:
                    self.between()
                continue
            # A grid, so that one late frame does not slow the rate; after a pause it starts anew.
            due_s = max(due_s, timebase.now_s() - self._period_s) + self._period_s
            self.step(frame)
            frames += 1

    def step(self, frame: Frame) -> StateSnapshot:
        """The whole way of one frame; nothing in it waits for a device, a disk or a network."""
        parts, times = self._parts, StageTimes()
        now_s = frame.captured_at_s
        self._seq = frame.seq
        parts.timebase.took(now_s)
        with times.stage("detect"):
            faces = self._faces(frame.image)
            face = parts.primary.choose(faces, width_px=frame.image.shape[1], height_px=frame.image.shape[0])
        with times.stage("face"):
            face_estimate = self._estimate_face(frame.image, face)
        with times.stage("scene"):
            scene_estimate = self._estimate(parts.scene_model, frame.image)
        with times.stage("steady"):
            estimates = tuple(e for e in (scene_estimate, face_estimate) if e is not None)
            fused = fuse(estimates, parts.fusion)
            stable = parts.stabilizer.update(fused, now_s)
        with times.stage("music"):
            music = parts.music.step(stable, now_s)
        snapshot = StateSnapshot(
            seq=frame.seq,
            t_s=now_s,
            mode=parts.music.mode,
            camera_on=True,
            face=face,
            face_count=len(faces),
            estimates=estimates,
            fused=fused,
            stable=stable,
            mood=mood_label(stable.mean) if stable else None,
            target=music.target,
            path=music.path,
            chosen=music.chosen,
            playback=music.playback,
            frames_per_second=self._rate.tick(now_s),
            latency_ms=max(times.elapsed_ms, 1e3 * (parts.timebase.now_s() - now_s)),
            stage_ms=times.stages_ms,
            reasons=self._reasons(music, now_s),
        )
        self._last = snapshot
        self._tell(snapshot)
        return snapshot

    def between(self) -> None:
        """A slow source has no new frame yet: its last one stands, commands and music go on."""
        if self._last is None:
            return
        now_s = self._parts.timebase.now_s()
        music = self._parts.music.step(self._last.stable, now_s)
        snapshot = replace(
            self._last,
            t_s=now_s,
            new_frame=False,
            mode=self._parts.music.mode,
            target=music.target,
            path=music.path,
            chosen=music.chosen,
            playback=music.playback,
            reasons=self._reasons(music, now_s),
        )
        self._tell(snapshot)

    def idle(self) -> StateSnapshot:
        """No frame came (the camera is closed, or fails): the music goes on, and the state is told."""
        now_s = self._parts.timebase.now_s()
        stable = self._parts.stabilizer.update(None, now_s)
        music = self._parts.music.step(stable, now_s)
        snapshot = StateSnapshot(
            seq=self._seq,
            t_s=now_s,
            mode=self._parts.music.mode,
            new_frame=False,
            camera_on=self._camera_open,
            stable=stable,
            mood=mood_label(stable.mean) if stable else None,
            target=music.target,
            path=music.path,
            chosen=music.chosen,
            playback=music.playback,
            reasons=self._reasons(music, now_s),
        )
        self._tell(snapshot)
        return snapshot

    def obey(self, command: Command) -> None:
        """Carry out a command; it shows in the next state."""
        parts = self._parts
        now_s = parts.timebase.now_s()
        match command:
            case Skip():
                parts.music.skip()
            case Pause():
                self._set_camera(on=self._camera_on, paused=True)
                parts.music.pause(now_s)
            case Resume():
                self._set_camera(on=self._camera_on, paused=False)
                parts.music.resume(now_s)
            case SetCamera(on=on):
                self._set_camera(on=on, paused=self._paused)
            case SetMode(mode=mode):
                parts.music.set_mode(mode)
            case SetVolume(volume=volume):
                parts.music.set_volume(volume)
            case SetMood(mood=mood):
                parts.music.set_mood(mood)
            case Like():
                parts.music.like()
            case Dislike():
                parts.music.dislike()
            case Forget():
                parts.music.forget()
        _log.info("obeyed %s", command)

    @property
    def _camera_open(self) -> bool:
        return self._camera_on and not self._paused

    def _set_camera(self, *, on: bool, paused: bool) -> None:
        """Two wishes, one camera: it is open only when it is wanted and nothing is paused."""
        self._camera_on, self._paused = on, paused
        if self._camera_open:
            self._parts.feed.resume()
        else:
            self._parts.feed.pause()

    def _faces(self, image: Image) -> Sequence[FaceBox]:
        try:
            faces = self._parts.detector.detect(image)
        except ModelError as error:
            self._note_model("detector", str(error))
            return ()
        self._note_model("detector", "")
        return faces

    def _estimate_face(self, image: Image, face: FaceBox | None) -> AffectEstimate | None:
        if face is None:
            return None
        crop = crop_face(image, face, self._parts.face_margin)
        return None if crop is None else self._estimate(self._parts.face_model, crop)

    def _estimate(self, model: AffectModel, image: Image) -> AffectEstimate | None:
        """A model's estimate; a failure is told as a reason and the frame goes on without it."""
        try:
            estimate = model.predict(image)
        except ModelError as error:
            self._note_model(model.source, str(error))
            return None
        self._note_model(model.source, "")
        return estimate

    def _note_model(self, part: str, reason: str) -> None:
        if reason and self._model_reasons.get(part) != reason:
            _log.warning("%s", reason)
        self._model_reasons[part] = reason

    def _reasons(self, music: MusicState, now_s: float) -> Mapping[str, str]:
        for refusal in self._parts.publisher.rejected():
            _log.warning("%s", refusal)
            self._refused.note(refusal, now_s)
        reasons = {
            "camera": self._parts.feed.reason,
            "models": "; ".join(reason for reason in self._model_reasons.values() if reason),
            "audio": music.reason,
            "likes": music.likes_reason,
            "broker": self._parts.publisher.reason(),
            "command": self._refused.at(now_s),
        }
        return {part: reason for part, reason in reasons.items() if reason}

    def _tell(self, snapshot: StateSnapshot) -> None:
        self._parts.publisher.publish(snapshot)
        for observer in self._parts.observers:
            observer(snapshot)
