"""The way of a frame, step by step, and the commands that come in between."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace

from emomusic_edge.affect import mood_label
from emomusic_edge.contracts import (
    Command,
    Dislike,
    Forget,
    Frame,
    Like,
    Pause,
    Resume,
    SetCamera,
    SetMode,
    SetMood,
    SetVolume,
    Skip,
    StableAffect,
    StateSnapshot,
)

from .fusion import fuse
from .loop_parts import Parts
from .music import MusicState
from .perception import Perception
from .privacy.paused_state import CameraWishes
from .scheduling import FramePacer, Limits, RateBudget
from .seldom_log import SeldomLog
from .timing import Awoke, PassingReason, RateMeter, StageTimes

_log = logging.getLogger(__name__)

# How long one wait for a frame lasts: commands are heard and a stop is seen at least this often.
_WAIT_S = 0.1
_REFUSAL_SHOWN_S = 30.0
# A camera's driver gives what it kept from before a sleep with the time of now; a few pictures, read at once.
_DRIVER_KEEPS_S = 0.5


class Loop:
    """Takes the newest frame again and again, and obeys commands."""

    def __init__(self, parts: Parts, *, frames_per_second: float) -> None:
        """Bind the parts.

        Args:
            parts: started.
            frames_per_second: how many frames a second are worked on at most.
        """
        self._parts = parts
        self._perception = Perception(
            parts.detector, parts.primary, parts.face_model, parts.face_margin, parts.scene_model, parts.scene_pace
        )
        self._pacer = parts.pacer or FramePacer(RateBudget(Limits(frames_per_second)), None)
        self._rate = RateMeter()
        self._seq = -1
        self._last: StateSnapshot | None = None
        self._seeing_from_s = float("-inf")
        self._refused = PassingReason(_REFUSAL_SHOWN_S)
        self._seldom = SeldomLog(_log)
        self._begin_as_left()

    def run(self, stop: threading.Event, *, max_frames: int | None = None) -> None:
        """Go on until the frames end, `stop` is set or `max_frames` were worked on."""
        feed, timebase = self._parts.feed, self._parts.timebase
        frames = 0
        due_s = timebase.now_s()
        while not stop.is_set() and (max_frames is None or frames < max_frames):
            for command in self._parts.publisher.commands():
                self.obey(command)
            if (awoke := timebase.awoke()) is not None:
                self._wake(awoke)
            is_due = timebase.wait_until(due_s, stop, _WAIT_S)
            if stop.is_set():
                continue
            frame = feed.next(_WAIT_S) if is_due else None
            if frame is not None and frame.captured_at_s < self._seeing_from_s:
                continue
            if frame is None:
                # Only next() tells why a file broke off.
                if is_due and feed.ended:
                    break
                self._without_frame()
                continue
            # A grid, so that one late frame does not slow the rate; after a pause it starts anew.
            period_s = self._pacer.period_s
            due_s = max(due_s, timebase.now_s() - period_s) + period_s
            began_s = timebase.now_s()
            self.step(frame)
            ended_s = timebase.now_s()
            self._pacer.worked(ended_s, ended_s - began_s)
            frames += 1

    def step(self, frame: Frame) -> StateSnapshot:
        """The whole way of one frame; nothing in it waits for a device, a disk or a network."""
        parts, times = self._parts, StageTimes()
        now_s = frame.captured_at_s
        self._seq = frame.seq
        parts.timebase.took(now_s)
        seen = self._perception.look(frame, times)
        with times.stage("steady"):
            fused = fuse(seen.estimates, parts.fusion)
            stable = parts.stabilizer.update(fused, now_s)
        with times.stage("music"):
            music = parts.music.step(stable, now_s)
        snapshot = StateSnapshot(
            seq=frame.seq,
            t_s=now_s,
            mode=parts.music.mode,
            camera_on=True,
            face=seen.face,
            face_count=seen.face_count,
            estimates=seen.estimates,
            fused=fused,
            stable=stable,
            mood=mood_label(stable.mean) if stable else None,
            target=music.target,
            path=music.path,
            chosen=music.chosen,
            chosen_because=music.because,
            manual_mood=self._parts.music.mood,
            playback=music.playback,
            frames_per_second=self._rate.tick(now_s),
            latency_ms=max(times.elapsed_ms, 1e3 * (parts.timebase.now_s() - now_s)),
            stage_ms=times.stages_ms,
            pace=self._pacer.pace(self._perception.scene_share),
            reasons=self._reasons(music, now_s),
        )
        self._last = snapshot
        self._tell(snapshot)
        return snapshot

    def _without_frame(self) -> None:
        """The time of a frame has not come, or none came."""
        if self._parts.feed.reason or not self._camera_open:
            self.idle()
        else:
            self.between()

    def between(self) -> None:
        """There is no new frame yet, from a slow source or at a slow pace: the last one stands, the music goes on."""
        if self._last is None:
            return
        now_s = self._parts.timebase.now_s()
        stable = self._parts.stabilizer.at(now_s)
        self._tell(self._between(self._last, stable, now_s))

    def idle(self) -> StateSnapshot:
        """No frame came (the camera is closed, or fails): the music goes on, and the state is told."""
        now_s = self._parts.timebase.now_s()
        self._perception.forget()
        self._pacer.rested()
        stable = self._parts.stabilizer.update(None, now_s)
        mood = mood_label(stable.mean) if stable else None
        unseen = StateSnapshot(self._seq, now_s, self._parts.music.mode, mood=mood)
        # What was seen before the camera closed must not be told again while its first picture is awaited.
        self._last = snapshot = self._between(unseen, stable, now_s)
        self._tell(snapshot)
        return snapshot

    def _between(self, seen: StateSnapshot, stable: StableAffect | None, now_s: float) -> StateSnapshot:
        """What was seen last, and what the music makes of now."""
        music = self._parts.music.step(stable, now_s)
        return replace(
            seen,
            t_s=now_s,
            new_frame=False,
            camera_on=self._camera_open,
            stable=stable,
            mode=self._parts.music.mode,
            target=music.target,
            path=music.path,
            chosen=music.chosen,
            chosen_because=music.because,
            manual_mood=self._parts.music.mood,
            playback=music.playback,
            pace=self._pacer.pace(self._perception.scene_share),
            reasons=self._reasons(music, now_s),
        )

    def obey(self, command: Command) -> None:
        """Carry out a command; it shows in the next state."""
        parts = self._parts
        now_s = parts.timebase.now_s()
        match command:
            case Skip():
                parts.music.skip()
                # At once: the next frame may be a tenth of a second away.
                parts.music.step(parts.stabilizer.at(now_s), now_s)
            case Pause():
                self._set_camera(replace(parts.wishes.now, paused=True))
                parts.music.pause(now_s)
            case Resume():
                self._set_camera(replace(parts.wishes.now, paused=False))
                parts.music.resume(now_s)
            case SetCamera(on=on):
                self._set_camera(replace(parts.wishes.now, on=on))
                if on and parts.wishes.now.paused:
                    self._refused.note("camera: all is paused; the camera opens when you resume", now_s)
            case SetMode(mode=mode):
                parts.music.set_mode(mode)
            case SetVolume(volume=volume):
                parts.music.set_volume(volume)
            case SetMood(valence=valence, arousal=arousal):
                parts.music.set_mood(valence=valence, arousal=arousal)
            case Like():
                parts.music.like()
            case Dislike():
                parts.music.dislike()
            case Forget():
                parts.music.forget()
                parts.on_forget()
        # Its kind alone: a mood that was set by hand is a feeling too.
        _log.info("obeyed %s", type(command).__name__)

    def _wake(self, awoke: Awoke) -> None:
        """The process stood still: what was seen before is of another time."""
        why = "the machine slept" if awoke.slept_s else "it was stopped, or too busy"
        _log.warning("stood still for %.0f s (%s): pictures from before are forgotten", awoke.stood_s, why)
        self._seeing_from_s = self._parts.timebase.now_s() + _DRIVER_KEEPS_S
        if awoke.slept_s:
            # The clock, which makes a feeling grow stale, stood still as well.
            self._parts.stabilizer.forget()
        self.idle()

    @property
    def _camera_open(self) -> bool:
        return self._parts.wishes.now.open

    def _begin_as_left(self) -> None:
        """What was paused or switched off when the last run ended still is: the camera does not open even once."""
        if not self._camera_open:
            self._parts.feed.pause()
        if self._parts.wishes.now.paused:
            self._parts.music.pause(self._parts.timebase.now_s())

    def _set_camera(self, wishes: CameraWishes) -> None:
        """Close or open the camera, then have that outlast a restart."""
        self._perception.forget()
        (self._parts.feed.resume if wishes.open else self._parts.feed.pause)()
        self._parts.wishes.set(wishes)

    def _reasons(self, music: MusicState, now_s: float) -> Mapping[str, str]:
        for refusal in self._parts.publisher.rejected():
            self._seldom.warning("command", refusal)
            self._refused.note(refusal, now_s)
        reasons = {
            "camera": self._parts.feed.reason or self._parts.feed.trouble or self._parts.wishes.reason,
            "models": self._perception.reason or self._parts.lost_gpu(),
            "pace": self._pacer.reason,
            "memory": self._parts.memory(now_s),
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
