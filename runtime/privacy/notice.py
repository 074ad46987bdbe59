"""The notice that a run begins with: a line to read, and where the owner names one, a sound before the first song."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emomusic_edge.errors import AudioError
from emomusic_edge.runtime.audio.output import AudioOutput, EarlyEnd, Track

_log = logging.getLogger(__name__)

NOTICE = "A camera here estimates how people feel. Its pictures are not kept and do not leave this device."

_FADE_IN_S = 0.05


@dataclass(frozen=True, slots=True)
class _Song:
    """A song as it was asked for while the notice played, at `since_s`."""

    track: Track
    start_s: float
    end_s: float
    fade_s: float
    gain_db: float
    since_s: float


class NoticeFirst:
    """An AudioOutput that plays a sound once, before the first song, on the player's thread and at its volume.

    A song that is asked for meanwhile is taken to have begun, and comes in where it then is, so that the reckoning of
    where it plays stays true. A notice that a pause cut off begins anew after it: that is when the camera opens. One
    that cannot be played is logged, and the music begins at once.

    Args:
        output: the sound device.
        path: the sound.
        clock: the monotonic clock that `at_s` is on.
    """

    def __init__(self, output: AudioOutput, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._path = path
        self._clock = clock
        self._due = True
        self._paused_at_s: float | None = None
        self._over_s = float("-inf")
        self._waiting: _Song | None = None

    def open(self) -> None:
        """See AudioOutput.open."""
        self._output.open()
        # The player tells a fresh device all anew; a notice that went with a lost device was heard in part.
        self._paused_at_s, self._over_s, self._waiting = None, float("-inf"), None

    def load(self, path: Path) -> Track:
        """See AudioOutput.load."""
        return self._output.load(path)

    def crossfade(
        self, track: Track, *, start_s: float, end_s: float, fade_s: float, gain_db: float, at_s: float | None = None
    ) -> None:
        """See AudioOutput.crossfade; while the notice plays, the song waits for its end."""
        self._paused_at_s = None
        if self._due:
            self._say()
        begins_s = self._clock() if at_s is None else at_s
        late_s = self._over_s - begins_s
        self._waiting = None
        if late_s > 0:
            self._waiting = _Song(track, start_s, end_s, fade_s, gain_db, begins_s)
            start_s, at_s = start_s + late_s, self._over_s
            if start_s >= end_s:
                return
        self._output.crossfade(track, start_s=start_s, end_s=end_s, fade_s=fade_s, gain_db=gain_db, at_s=at_s)

    def early_end(self) -> EarlyEnd | None:
        """See AudioOutput.early_end."""
        return self._output.early_end()

    def fade_out(self, fade_s: float) -> None:
        """See AudioOutput.fade_out; a notice that plays fades too (nothing is to sound any more)."""
        self._over_s, self._waiting = float("-inf"), None
        self._output.fade_out(fade_s)

    def pause(self) -> None:
        """See AudioOutput.pause."""
        self._paused_at_s = self._clock()
        self._due = self._due or self._paused_at_s < self._over_s
        self._output.pause()

    def resume(self) -> None:
        """See AudioOutput.resume."""
        paused_at_s, self._paused_at_s = self._paused_at_s, None
        song = self._waiting
        if not self._due or not self._say():
            self._output.resume()
        elif song is not None and paused_at_s is not None:
            self.crossfade(
                song.track,
                start_s=song.start_s + paused_at_s - song.since_s,
                end_s=song.end_s,
                fade_s=song.fade_s,
                gain_db=song.gain_db,
            )

    def set_volume(self, volume: float) -> None:
        """See AudioOutput.set_volume. The player tells it first of all: before that the notice would be too loud."""
        self._output.set_volume(volume)
        if self._due and self._paused_at_s is None:
            self._say()

    def alive(self) -> bool:
        """See AudioOutput.alive."""
        return self._output.alive()

    def close(self) -> None:
        """See AudioOutput.close."""
        self._output.close()

    def _say(self) -> bool:
        """Begin the notice; False where it cannot be played."""
        self._due = False
        try:
            track = self._output.load(self._path)
            self._output.crossfade(track, start_s=0.0, end_s=track.duration_s, fade_s=_FADE_IN_S, gain_db=0.0)
        except AudioError as error:
            _log.warning("the notice cannot be played: %s", error)
            return False
        self._over_s = self._clock() + track.duration_s
        return True
