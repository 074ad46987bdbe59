"""The seam to the sound device: what the player asks of whatever makes the sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Track:
    """A file that decoded.

    Attributes:
        duration_s: how long its sound is, > 0.
        handle: what the output that loaded it keeps of it; nobody else looks inside.
    """

    duration_s: float
    handle: Any


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
        """Decode a file; the device is open.

        Raises:
            AudioError: the file is missing, empty or does not decode.
        """
        ...

    def crossfade(self, track: Track, *, start_s: float, end_s: float, fade_s: float, gain_db: float) -> None:
        """Fade to a track; returns while the fade still runs. At most the newest two tracks sound during it, one after.

        A pause ends with it: what stood still is dropped and the new track fades in from silence.

        Args:
            track: from `load` of this output since it was last opened.
            start_s: where in the file it begins, 0 <= start_s < end_s.
            end_s: where in the file it falls silent, at most the track's duration.
            fade_s: how long the two overlap, > 0.
            gain_db: a static gain of this track; it is not raised beyond full scale.
        """
        ...

    def fade_out(self, fade_s: float) -> None:
        """Fade to silence; returns while the fade still runs. What stands paused is dropped at once."""
        ...

    def pause(self) -> None:
        """Stand still, without a click."""
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
        """Fade out within 0.3 s and let go of the device; harmless when it is not open."""
        ...
