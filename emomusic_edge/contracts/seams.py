"""The seams between the parts: each has one real implementation or more, and at most one fake, in the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .commands import Command
from .values import AffectEstimate, FaceBox, Frame, Image, PlaybackStatus, Segment, Source, StateSnapshot


class FrameSource(Protocol):
    """Where pictures come from. Not thread-safe: one thread opens, reads and closes it."""

    @property
    def name(self) -> str:
        """What to call it in messages: `/dev/video0`, `clip.mp4`."""
        ...

    @property
    def live(self) -> bool:
        """True for a camera, False for a file.

        A camera's frames are stamped with the monotonic clock as they come; a file's with their own time, from 0, and
        they end.
        """
        ...

    def open(self) -> None:
        """Take the device or file.

        Raises:
            SourceError: it is missing or does not open.
        """
        ...

    def read(self) -> Frame | None:
        """The next frame; None at the end of a file. May block for as long as the device does.

        Raises:
            SourceError: a device stopped giving frames, or a file does not decode.
        """
        ...

    def close(self) -> None:
        """Let go of the device or file; harmless when it is not open."""
        ...


class FaceDetector(Protocol):
    """Finds faces in a picture."""

    def detect(self, image: Image) -> Sequence[FaceBox]:
        """All faces, the best score first; empty when there are none."""
        ...


class InferenceEngine(Protocol):
    """Runs one model file."""

    @property
    def provider(self) -> str:
        """What it truly runs on, e.g. `CPUExecutionProvider`."""
        ...

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> Mapping[str, NDArray[np.generic]]:
        """One inference: arrays by input name in, arrays by output name out.

        Raises:
            ModelError: an input is missing or of another shape or dtype, or the engine failed.
        """
        ...


class AffectModel(Protocol):
    """A picture in, an affect estimate out."""

    @property
    def source(self) -> Source:
        """Whether it wants the whole scene or a face crop."""
        ...

    @property
    def provider(self) -> str:
        """What it truly runs on."""
        ...

    def predict(self, image: Image) -> AffectEstimate:
        """The estimate for one picture (the scene, or the face crop), uint8 [H, W, 3] BGR of any size.

        Raises:
            ModelError: the engine failed, or gave values that are not finite.
        """
        ...


class Player(Protocol):
    """Plays one song at a time and crossfades to the next. No call blocks: files are decoded on its own thread.

    `now_s` is the loop's clock; a player without a device keeps time by it, so that the rest of the way goes on.
    """

    def start(self) -> None:
        """Take the audio device, or go on muted and say so in `status().reason`; retried from then on."""
        ...

    def play(self, segment: Segment, now_s: float, *, at_once: bool = False, at_s: float | None = None) -> None:
        """Crossfade to a segment from its start second; the newest call wins.

        Args:
            segment: what to play, with its `gain_db`.
            now_s: the loop's clock.
            at_once: whether a person waits for it: the fade is short then.
            at_s: when its start second is to sound, by the loop's clock, as several players agree on it; where that is
                over, the song comes in as far on as it would be by now. None begins as soon as it can.
        """
        ...

    def stop(self, now_s: float) -> None:
        """Fade out what plays; `status().segment` becomes None."""
        ...

    def pause(self, now_s: float) -> None:
        """Stand still at the current second."""
        ...

    def resume(self, now_s: float) -> None:
        """Go on from where pause() stood still."""
        ...

    def set_volume(self, volume: float) -> None:
        """Set the volume, 0..1."""
        ...

    def status(self, now_s: float) -> PlaybackStatus:
        """What it is doing now."""
        ...

    def failures(self) -> Sequence[tuple[str, str]]:
        """(song_id, reason) of songs that did not decode (to their end) since the last call; they are not playing."""
        ...

    @property
    def silent_s(self) -> float:
        """For how many seconds its thread has given no sign of life; a device that is away is no silence."""
        ...

    def close(self) -> None:
        """Fade out within a fraction of a second and let go of the device."""
        ...


class Publisher(Protocol):
    """Tells the state to the outside and hears commands from there. No call blocks on the network."""

    def start(self) -> None:
        """Begin connecting; returns at once, broker or no broker."""
        ...

    def publish(self, snapshot: StateSnapshot) -> None:
        """Tell a state; rate limits and change detection are the publisher's own."""
        ...

    def commands(self) -> Sequence[Command]:
        """The valid commands that arrived since the last call, oldest first."""
        ...

    def rejected(self) -> Sequence[str]:
        """Why commands were refused since the last call, oldest first, a line each; their senders have been told."""
        ...

    def reason(self) -> str:
        """Why nothing gets through; empty when all is well."""
        ...

    @property
    def silent_s(self) -> float:
        """For how many seconds its thread has given no sign of life; a broker that is away is no silence."""
        ...

    def close(self) -> None:
        """Say goodbye (availability offline) and disconnect, within a second."""
        ...
