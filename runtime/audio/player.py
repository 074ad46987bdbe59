"""The player: what plays and since when; a thread of its own makes the sound follow.

The loop's calls only write down what is wanted. Where it is in a song is reckoned from the loop's clock alone, so that
a run without a device, or one faster than real time, goes on just the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from emomusic_edge.contracts import PlaybackStatus, Segment

from .device_thread import DeviceThread
from .output import AudioOutput
from .shared import CROSSFADE_S, Shared, Wish
from .song_clock import SongClock

RETRY_S = 5.0
SKIP_FADE_S = 0.15
"""An equal-power fade brings the new song to half its amplitude in a third of that."""

_FIRST_ATTEMPT_S = 2.0


class MusicPlayer:
    """The Player of contracts.py.

    Args:
        output: the sound device; None keeps time without a sound, and touches no audio file.
        volume: 0..1 in amplitude.
        crossfade_s: how long two songs overlap, and how early `ended` tells before a song's end.
        retry_s: how long to wait between attempts to take the device.
    """

    def __init__(
        self,
        output: AudioOutput | None,
        *,
        volume: float = 1.0,
        crossfade_s: float = CROSSFADE_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._output = output
        self._crossfade_s = crossfade_s
        self._retry_s = retry_s
        self._shared = Shared(Wish(volume=_clamp(volume)))
        self._device: DeviceThread | None = None

    def start(self) -> None:
        """See Player.start. Waits up to 2 s for the first answer of the device, so that the first status is true."""
        shared = self._shared
        if self._output is None or self._device is not None:
            return
        shared.reason = "the audio device has not answered yet"
        self._device = DeviceThread(self._output, shared, retry_s=self._retry_s)
        self._device.start()
        with shared.changed:
            shared.changed.wait_for(lambda: shared.attempted, _FIRST_ATTEMPT_S)

    def play(self, segment: Segment, now_s: float, *, at_once: bool = False, at_s: float | None = None) -> None:
        """See Player.play. Does not undo a pause: the segment then begins at resume(), whatever `at_s` said."""
        shared = self._shared
        with shared.changed:
            shared.now_s = now_s
            if shared.wish.paused:
                at_s = None
            since_s = now_s if at_s is None else at_s
            left_s = min(SKIP_FADE_S, self._crossfade_s) if at_once else self._crossfade_s
            if shared.clock is not None:
                # A song near its end must not outlast itself in the crossfade.
                left_s = min(left_s, shared.clock.end_s - shared.clock.position_s(max(now_s, since_s)))
            shared.failed = False
            shared.clock = SongClock(segment, segment.song_end_s, segment.start_s, since_s, not shared.wish.paused)
            shared.want_song(segment, left_s, at_s)

    def stop(self, now_s: float) -> None:
        """See Player.stop."""
        shared = self._shared
        with shared.changed:
            shared.now_s = now_s
            shared.failed = False
            shared.clock = None
            shared.want_song(None, self._crossfade_s)

    def pause(self, now_s: float) -> None:
        """See Player.pause."""
        self._set_paused(True, now_s)

    def resume(self, now_s: float) -> None:
        """See Player.resume."""
        self._set_paused(False, now_s)

    def set_volume(self, volume: float) -> None:
        """See Player.set_volume. Values outside 0..1 are brought inside."""
        shared = self._shared
        with shared.changed:
            shared.wish = replace(shared.wish, volume=_clamp(volume))
            shared.changed.notify_all()

    def status(self, now_s: float) -> PlaybackStatus:
        """See Player.status. `ended` is also True after a song that did not decode: another may start."""
        shared = self._shared
        with shared.changed:
            shared.now_s = now_s
            clock = shared.clock
            position_s = 0.0 if clock is None else clock.position_s(now_s)
            return PlaybackStatus(
                segment=None if clock is None else clock.segment,
                position_s=position_s,
                ended=shared.failed if clock is None else position_s >= clock.end_s - self._crossfade_s,
                paused=shared.wish.paused,
                muted=not shared.open,
                volume=shared.wish.volume,
                reason=shared.reason,
            )

    def failures(self) -> Sequence[tuple[str, str]]:
        """See Player.failures."""
        shared = self._shared
        with shared.changed:
            failures, shared.failures = shared.failures, []
            return failures

    @property
    def silent_s(self) -> float:
        """See Player.silent_s."""
        return 0.0 if self._device is None else self._device.silent_s

    def close(self) -> None:
        """See Player.close. Harmless when called twice or without start()."""
        shared = self._shared
        with shared.changed:
            shared.closing = True
            shared.changed.notify_all()
        if self._device is not None:
            self._device.join()

    def _set_paused(self, paused: bool, now_s: float) -> None:
        shared = self._shared
        with shared.changed:
            shared.now_s = now_s
            if shared.clock is not None:
                shared.clock = shared.clock.run(not paused, now_s)
            # Others went on meanwhile: what was agreed on with them is void.
            shared.wish = replace(shared.wish, paused=paused, at_s=None if paused else shared.wish.at_s)
            shared.changed.notify_all()


def _clamp(volume: float) -> float:
    return min(1.0, max(0.0, volume))
