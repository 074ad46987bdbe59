"""The seams to the sound: what the player asks of an output, and what an output asks of the device below it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 44_100
"""Of all that is mixed; songs at another rate are resampled as they are decoded."""


@dataclass(frozen=True, slots=True)
class Track:
    """A file that can be decoded.

    Attributes:
        duration_s: how long its sound is, as the file says, > 0.
        handle: what the output that loaded it keeps of it; nobody else looks inside.
    """

    duration_s: float
    handle: Any


@dataclass(frozen=True, slots=True)
class EarlyEnd:
    """A track's sound turned out to end before its end_s.

    Attributes:
        at_s: where in the file it ends.
        damage: what is wrong with the file; empty when it is only shorter than it says.
    """

    at_s: float
    damage: str = ""


class AudioOutput(Protocol):
    """One sound device. Only one thread (the player's worker) calls it; a call may block for as long as it must.

    Calls that make or change sound are harmless when nothing sounds.
    """

    def open(self) -> None:
        """Take the device, afresh if it was open: nothing sounds, nothing is paused.

        Raises:
            AudioError: no device answers.
        """
        ...

    def load(self, path: Path) -> Track:
        """Look into a file and decode its first sound; the device is open.

        Raises:
            AudioError: the file is missing, empty or does not decode.
        """
        ...

    def crossfade(
        self, track: Track, *, start_s: float, end_s: float, fade_s: float, gain_db: float, at_s: float | None = None
    ) -> None:
        """Fade to a track; returns while the fade still runs. Soon the newest two tracks sound, one after the fade.

        A pause ends with it: what stood still is dropped and the new track fades in from silence. One that waits for
        its `at_s` gives way to the next; a pause that comes before keeps it waiting, and it begins with resume().

        Args:
            track: from `load` of this output since it was last opened.
            start_s: where in the file it begins, 0 <= start_s < end_s.
            end_s: where in the file it falls silent, at most the track's duration.
            fade_s: how long the two overlap, > 0; less where the old one ends before.
            gain_db: a static gain of this track, constant over the song.
            at_s: when start_s is to sound, on the monotonic clock; None as soon as it can. Where that is over the track
                comes in later in the file, or not at all when all of it is over.

        Raises:
            AudioError: the file does not decode from start_s on; what sounded goes on.
        """
        ...

    def early_end(self) -> EarlyEnd | None:
        """Whether the newest track ends too early; known some seconds before it does, which still sound."""
        ...

    def fade_out(self, fade_s: float) -> None:
        """Fade to silence; returns while the fade still runs. What stands paused is dropped."""
        ...

    def pause(self) -> None:
        """Fade to a standstill, without a click; returns while the fade still runs."""
        ...

    def resume(self) -> None:
        """Go on from where pause() stood still."""
        ...

    def set_volume(self, volume: float) -> None:
        """Set the volume of all that sounds now and later, 0..1 in amplitude, without a click; outlives `open`."""
        ...

    def alive(self) -> bool:
        """Whether the device is open and still takes sound."""
        ...

    def close(self) -> None:
        """Fade out within 0.5 s and let go of the device; harmless when it is not open."""
        ...


class SoundSink(Protocol):
    """A device that plays what is queued: int16 [frames, 2] at SAMPLE_RATE_HZ. One caller at a time."""

    def open(self) -> None:
        """Take the device; the queue is empty.

        Raises:
            AudioError: none answers.
        """
        ...

    def write(self, samples: NDArray[np.int16]) -> None:
        """Queue samples behind what is queued.

        Raises:
            AudioError: the device takes none.
        """
        ...

    def queued(self) -> int:
        """Frames that were written and that the device has not taken yet."""
        ...

    def replace_last(self, samples: NDArray[np.int16]) -> bool:
        """Put samples in place of as many at the end of the queue; False, and nothing done, if some were taken."""
        ...

    def wait_for_room(self, frames: int, timeout_s: float) -> None:
        """Return when at most `frames` are queued, or after the timeout; a moment late is allowed."""
        ...

    def alive(self) -> bool:
        """Whether the device is open and still takes sound."""
        ...

    def close(self) -> None:
        """Let go of the device at once; harmless when it is not open."""
        ...
