"""The player: what plays and since when, and the thread that makes the sound follow.

The loop's calls only write down what is wanted; a worker thread makes the device follow, newest wish first. Where it is
in a song is reckoned from the loop's clock alone, so that a run without a device, or one faster than real time, goes on
just the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from emomusic_edge.contracts import PlaybackStatus, Segment
from emomusic_edge.errors import AudioError

from .output import AudioOutput
from .song_clock import SongClock

CROSSFADE_S = 2.0
RETRY_S = 5.0
# A song is decoded whole, at 10.6 MB a minute, and a copy of the stretch that plays is cut: 320 MB at the most.
LONGEST_SONG_S = 900.0

_SHORTEST_FADE_S = 0.05
_FIRST_ATTEMPT_S = 2.0
_ALIVE_POLL_S = 0.5
_JOIN_S = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the device should do; `ticket` counts the changes of song, so that the same song can be asked for twice."""

    ticket: int = 0
    segment: Segment | None = None
    fade_s: float = CROSSFADE_S
    gain_db: float = 0.0
    paused: bool = False
    volume: float = 1.0


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
        # Guards all that follows; the loop's thread holds it for bookkeeping only, never across a call of the output.
        self._changed = threading.Condition()
        self._clock: SongClock | None = None
        self._now_s = 0.0
        self._wish = _Wish(volume=_clamp(volume))
        self._failed = False
        self._failures: list[tuple[str, str]] = []
        self._reason = ""
        self._open = False
        self._attempted = False
        self._closing = False
        self._thread: threading.Thread | None = None
        # The worker's own: what the device does, when to try it again, which change of song came before it was there.
        self._done = _Wish()
        self._retry_at_s = 0.0
        self._late_ticket = 0

    def start(self) -> None:
        """See Player.start. Waits up to 2 s for the first answer of the device, so that the first status is true."""
        if self._output is None or self._thread is not None:
            return
        self._reason = "the audio device has not answered yet"
        self._thread = threading.Thread(target=self._work, args=(self._output,), name="player", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._attempted, _FIRST_ATTEMPT_S)

    def play(self, segment: Segment, now_s: float, *, gain_db: float = 0.0) -> None:
        """See Player.play.

        Does not undo a pause: the segment then begins at resume(). `gain_db` is a static gain of this song.
        """
        with self._changed:
            self._now_s = now_s
            left_s = self._crossfade_s
            if self._clock is not None:
                # A song near its end must not outlast itself in the crossfade.
                left_s = min(left_s, self._clock.end_s - self._clock.position_s(now_s))
            self._failed = False
            self._clock = SongClock(segment, segment.song_end_s, segment.start_s, now_s, not self._wish.paused)
            self._want_song(segment, left_s, gain_db)

    def stop(self, now_s: float) -> None:
        """See Player.stop."""
        with self._changed:
            self._now_s = now_s
            self._failed = False
            self._clock = None
            self._want_song(None, self._crossfade_s, 0.0)

    def pause(self, now_s: float) -> None:
        """See Player.pause."""
        self._set_paused(True, now_s)

    def resume(self, now_s: float) -> None:
        """See Player.resume."""
        self._set_paused(False, now_s)

    def set_volume(self, volume: float) -> None:
        """See Player.set_volume. Values outside 0..1 are brought inside."""
        with self._changed:
            self._wish = replace(self._wish, volume=_clamp(volume))
            self._changed.notify_all()

    def status(self, now_s: float) -> PlaybackStatus:
        """See Player.status. `ended` is also True after a song that did not decode: another may start."""
        with self._changed:
            self._now_s = now_s
            clock = self._clock
            position_s = 0.0 if clock is None else clock.position_s(now_s)
            return PlaybackStatus(
                segment=None if clock is None else clock.segment,
                position_s=position_s,
                ended=self._failed if clock is None else position_s >= clock.end_s - self._crossfade_s,
                paused=self._wish.paused,
                muted=not self._open,
                volume=self._wish.volume,
                reason=self._reason,
            )

    def failures(self) -> Sequence[tuple[str, str]]:
        """See Player.failures."""
        with self._changed:
            failures, self._failures = self._failures, []
            return failures

    def close(self) -> None:
        """See Player.close. Harmless when called twice or without start()."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is None:
            return
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            logger.warning("the audio device does not let go; leaving it to the end of the process")

    def _set_paused(self, paused: bool, now_s: float) -> None:
        with self._changed:
            self._now_s = now_s
            if self._clock is not None:
                self._clock = self._clock.run(not paused, now_s)
            self._wish = replace(self._wish, paused=paused)
            self._changed.notify_all()

    def _want_song(self, segment: Segment | None, fade_s: float, gain_db: float) -> None:
        ticket = self._wish.ticket + 1
        fade_s = max(_SHORTEST_FADE_S, fade_s)
        self._wish = replace(self._wish, ticket=ticket, segment=segment, fade_s=fade_s, gain_db=gain_db)
        self._changed.notify_all()

    # From here on: the worker's thread.

    def _work(self, output: AudioOutput) -> None:
        while True:
            with self._changed:
                wait_s = _ALIVE_POLL_S if self._open else self._retry_at_s - time.monotonic()
                self._changed.wait_for(lambda: self._closing or (self._open and self._pending()), max(0.0, wait_s))
                if self._closing:
                    break
                wish = self._wish
            try:
                if not self._open:
                    self._try_to_open(output)
                elif not output.alive():
                    self._lose(output, "the audio device went away; it is looked for again by itself")
                else:
                    self._follow(output, wish)
            except Exception as error:
                logger.exception("the player's thread failed; the audio device is taken anew")
                self._lose(output, f"playing failed ({type(error).__name__}: {error}); the audio device is taken anew")
        self._release(output)

    def _pending(self) -> bool:
        wish, done = self._wish, self._done
        # A song asked for during a pause is decoded when the pause ends; silence comes at once.
        new_song = wish.ticket != done.ticket and (wish.segment is None or not wish.paused)
        return new_song or wish.volume != done.volume or wish.paused != done.paused

    def _try_to_open(self, output: AudioOutput) -> None:
        try:
            output.open()
        except AudioError as error:
            self._lose(output, f"{error}; mend: {error.mend}" if error.mend else str(error))
            return
        with self._changed:
            if self._reason and self._attempted:
                logger.info("the audio device is back")
            self._open = True
            self._reason = ""
            # Below any volume and ticket there is: all is to be told to the fresh device.
            self._done = _Wish(ticket=-1, volume=-1.0)
            self._late_ticket = self._wish.ticket
            self._answer_first_attempt()

    def _lose(self, output: AudioOutput, reason: str) -> None:
        with self._changed:
            if reason != self._reason:
                logger.warning("no sound: %s", reason)
            self._open = False
            self._reason = reason
            self._retry_at_s = time.monotonic() + self._retry_s
            self._answer_first_attempt()
        self._release(output)

    def _answer_first_attempt(self) -> None:
        self._attempted = True
        self._changed.notify_all()

    @staticmethod
    def _release(output: AudioOutput) -> None:
        try:
            output.close()
        except Exception:
            logger.exception("the audio device did not close")

    def _follow(self, output: AudioOutput, wish: _Wish) -> None:
        """Bring the device from what it does to what is wanted."""
        if wish.volume != self._done.volume:
            output.set_volume(wish.volume)
            self._done = replace(self._done, volume=wish.volume)
        if wish.paused and not self._done.paused:
            output.pause()
            self._done = replace(self._done, paused=True)
        if wish.ticket != self._done.ticket:
            if wish.segment is None:
                output.fade_out(wish.fade_s)
                self._done = replace(self._done, ticket=wish.ticket)
            elif not wish.paused:
                self._start_song(output, wish, wish.segment)
        elif self._done.paused and not wish.paused:
            output.resume()
            self._done = replace(self._done, paused=False)

    def _start_song(self, output: AudioOutput, wish: _Wish, segment: Segment) -> None:
        if segment.song_end_s > LONGEST_SONG_S:
            self._give_up(
                wish,
                segment,
                f"{segment.path} lasts {segment.song_end_s / 60:.0f} minutes; songs are decoded whole, so that at most "
                f"{LONGEST_SONG_S / 60:.0f} are played",
            )
            return
        try:
            track = output.load(segment.path)
        except AudioError as error:
            self._give_up(wish, segment, str(error))
            return
        with self._changed:
            clock = self._clock
            if self._wish.ticket != wish.ticket or self._wish.paused or clock is None:
                return
            end_s = min(segment.song_end_s, track.duration_s)
            self._clock = replace(clock, end_s=end_s)
            start_s = segment.start_s
            if wish.ticket == self._late_ticket:
                start_s = max(start_s, clock.position_s(self._now_s))
        if segment.start_s >= end_s:
            found = (
                f"{segment.path}: its sound ends at {end_s:.1f} s; expected it to reach past {segment.start_s:.1f} s"
            )
            self._give_up(wish, segment, found)
            return
        # After a device came late the song may be over by now.
        if start_s < end_s:
            output.crossfade(track, start_s=start_s, end_s=end_s, fade_s=wish.fade_s, gain_db=wish.gain_db)
        self._done = replace(self._done, ticket=wish.ticket, paused=False)

    def _give_up(self, wish: _Wish, segment: Segment, reason: str) -> None:
        """Report a song that cannot play, and let what still sounds of the one before fade out."""
        logger.warning("%s cannot play: %s", segment.song_id, reason)
        with self._changed:
            self._failures.append((segment.song_id, reason))
            self._done = replace(self._done, ticket=wish.ticket)
            if self._wish.ticket == wish.ticket:
                self._clock = None
                self._failed = True
                self._want_song(None, self._crossfade_s, 0.0)


def _clamp(volume: float) -> float:
    return min(1.0, max(0.0, volume))
