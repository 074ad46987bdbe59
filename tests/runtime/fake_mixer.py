"""The AudioOutput of tests: no sound, no device, and a test may hold or break any part of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from emomusic_edge.errors import AudioError
from emomusic_edge.runtime.audio.output import EarlyEnd, Track


@dataclass(frozen=True)
class Voice:
    """One track that sounds."""

    path: Path
    start_s: float
    end_s: float
    fade_s: float
    gain_db: float
    falling: bool = False
    at_s: float | None = None


@dataclass(frozen=True)
class Scene:
    """All that can be heard."""

    opened: bool = False
    paused: bool = False
    volume: float = 1.0
    voices: tuple[Voice, ...] = ()


@dataclass
class FakeMixer:
    """Obeys the contract test of AudioOutput.

    Attributes:
        duration_of: what a file's sound lasts; raises AudioError for one that does not decode.
        present: whether a device answers.
        may_load: while it is not set, load() blocks.
        broken: raised once by the next crossfade.
        early: how the newest track ends too early.
        loads: the files that load() was asked for.
        most_voices: the most tracks that ever sounded together.
        close_calls: how often close() was called.
    """

    duration_of: Callable[[Path], float]
    present: bool = True
    broken: Exception | None = None
    early: EarlyEnd | None = None
    scene: Scene = field(default_factory=Scene)
    loads: list[Path] = field(default_factory=list)
    most_voices: int = 0
    close_calls: int = 0
    may_load: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.may_load.set()

    def wait_until(self, holds: Callable[[], bool], timeout_s: float = 20.0) -> bool:
        """Wait for something about this fake to hold."""
        with self.changed:
            return self.changed.wait_for(holds, timeout_s)

    def let_fades_end(self) -> None:
        """As after the longest fade."""
        self._show(voices=tuple(voice for voice in self.scene.voices if not voice.falling))

    def open(self) -> None:
        if not self.present:
            self._show(opened=False, voices=())
            raise AudioError("no audio device answers: unplugged", mend="plug it in")
        self._show(opened=True, paused=False, voices=())

    def load(self, path: Path) -> Track:
        with self.changed:
            self.loads.append(path)
            self.changed.notify_all()
        assert self.may_load.wait(20.0)
        return Track(duration_s=self.duration_of(path), handle=path)

    def crossfade(
        self, track: Track, *, start_s: float, end_s: float, fade_s: float, gain_db: float, at_s: float | None = None
    ) -> None:
        if self.broken is not None:
            error, self.broken = self.broken, None
            raise error
        assert 0 <= start_s < end_s <= track.duration_s
        assert fade_s > 0
        if at_s is not None and start_s + time.monotonic() - at_s >= end_s:
            return
        before = () if self.scene.paused else self.scene.voices[-1:]
        falling = tuple(replace(voice, falling=True) for voice in before)
        new = Voice(track.handle, start_s, end_s, fade_s, gain_db, at_s=at_s)
        self._show(paused=False, voices=(*falling, new))

    def early_end(self) -> EarlyEnd | None:
        return self.early

    def fade_out(self, fade_s: float) -> None:
        assert fade_s > 0
        kept = () if self.scene.paused else self.scene.voices
        self._show(voices=tuple(replace(voice, falling=True) for voice in kept))

    def pause(self) -> None:
        self._show(paused=True)

    def resume(self) -> None:
        self._show(paused=False)

    def set_volume(self, volume: float) -> None:
        self._show(volume=volume)

    def alive(self) -> bool:
        return self.scene.opened and self.present

    def close(self) -> None:
        self.close_calls += 1
        self._show(opened=False, voices=())

    def _show(self, **changes: object) -> None:
        with self.changed:
            self.scene = replace(self.scene, **changes)  # type: ignore[arg-type]
            self.most_voices = max(self.most_voices, len(self.scene.voices))
            self.changed.notify_all()
