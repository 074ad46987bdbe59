"""The thread that makes the sound device follow what the player was asked for, and finds a lost device again."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

from emomusic_edge.contracts import Segment
from emomusic_edge.errors import AudioError
from emomusic_edge.runtime.seldom_log import SeldomLog

from .output import AudioOutput
from .shared import CROSSFADE_S, Shared, Wish

_ALIVE_POLL_S = 0.5
_JOIN_S = 1.5
# While a device is away, how often the thread shows that it waits and does not hang.
_SIGN_S = 5.0
_LATE_START_S = 1.0
"""Beyond what opening a file takes: its disk slept, or a network drive hung."""

logger = logging.getLogger(__name__)


class DeviceThread:
    """Calls the output, newest wish first.

    Args:
        output: the sound device.
        shared: what is wanted.
        retry_s: how long to wait between attempts to take the device; one that was lost is looked for at once.
    """

    def __init__(self, output: AudioOutput, shared: Shared, *, retry_s: float) -> None:
        self._output = output
        self._shared = shared
        self._retry_s = retry_s
        self._thread = threading.Thread(target=self._work, name="player", daemon=True)
        self._seldom = SeldomLog(logger)
        # What the device does, when to try it again, which change of song came before it was there.
        self._done = Wish()
        self._retry_at_s = 0.0
        self._opened_at_s = time.monotonic()
        self._moved_at_s = time.monotonic()
        self._late_ticket = 0

    def start(self) -> None:
        """Begin; `shared.attempted` tells when the device has answered or not."""
        self._thread.start()

    @property
    def silent_s(self) -> float:
        """For how long it has given no sign of life."""
        return time.monotonic() - self._moved_at_s

    def join(self) -> None:
        """Wait a moment for the end after `shared.closing` was set."""
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            logger.warning("the audio device does not let go; leaving it to the end of the process")

    def _work(self) -> None:
        shared = self._shared
        while not shared.closing:
            try:
                self._turn()
            except Exception as error:
                logger.exception("the player's thread failed; the audio device is taken anew")
                self._lose(
                    f"playing failed ({type(error).__name__}: {error}); the audio device is taken anew",
                    # An error that comes again at once is not tried again at once.
                    retry_s=0.0 if time.monotonic() - self._opened_at_s > self._retry_s else None,
                )
        self._release()

    def _turn(self) -> None:
        """Wait for something to do, for a while at most, and do it."""
        shared = self._shared
        with shared.changed:
            self._moved_at_s = time.monotonic()
            wait_s = _ALIVE_POLL_S if shared.open else min(self._retry_at_s - self._moved_at_s, _SIGN_S)
            shared.changed.wait_for(lambda: shared.closing or (shared.open and self._pending()), max(0.0, wait_s))
            if shared.closing or (not shared.open and time.monotonic() < self._retry_at_s):
                return
            wish = shared.wish
        if not shared.open:
            self._try_to_open()
        elif not self._output.alive():
            self._lose("the audio device went away; it is looked for again by itself", retry_s=0.0)
        else:
            self._follow(wish)
            self._hear_of_early_end()

    def _pending(self) -> bool:
        wish, done = self._shared.wish, self._done
        # A song asked for during a pause is decoded when the pause ends; silence comes at once.
        new_song = wish.ticket != done.ticket and (wish.segment is None or not wish.paused)
        return new_song or wish.volume != done.volume or wish.paused != done.paused

    def _try_to_open(self) -> None:
        try:
            self._output.open()
        except AudioError as error:
            self._lose(f"{error}; mend: {error.mend}" if error.mend else str(error))
            return
        shared = self._shared
        with shared.changed:
            if shared.reason and shared.attempted:
                logger.info("the audio device is back")
            shared.open = True
            shared.reason = ""
            self._opened_at_s = time.monotonic()
            # Below any volume and ticket there is: all is to be told to the fresh device.
            self._done = Wish(ticket=-1, volume=-1.0)
            self._late_ticket = shared.wish.ticket
            self._answer_first_attempt()

    def _lose(self, reason: str, *, retry_s: float | None = None) -> None:
        shared = self._shared
        with shared.changed:
            if reason != shared.reason:
                logger.warning("no sound: %s", reason)
            shared.open = False
            shared.reason = reason
            self._retry_at_s = time.monotonic() + (self._retry_s if retry_s is None else retry_s)
            self._answer_first_attempt()
        self._release()

    def _answer_first_attempt(self) -> None:
        self._shared.attempted = True
        self._shared.changed.notify_all()

    def _release(self) -> None:
        try:
            self._output.close()
        except Exception:
            logger.exception("the audio device did not close")

    def _follow(self, wish: Wish) -> None:
        """Bring the device from what it does to what is wanted."""
        output = self._output
        if wish.volume != self._done.volume:
            output.set_volume(wish.volume)
            self._done = replace(self._done, volume=wish.volume)
        if wish.paused and not self._done.paused:
            output.pause()
            self._done = replace(self._done, paused=True)
        if wish.ticket != self._done.ticket:
            if wish.segment is None:
                output.fade_out(wish.fade_s)
                self._done = replace(self._done, ticket=wish.ticket, segment=None)
            elif not wish.paused:
                self._start_song(wish, wish.segment)
        elif self._done.paused and not wish.paused:
            output.resume()
            self._done = replace(self._done, paused=False)

    def _start_song(self, wish: Wish, segment: Segment) -> None:
        shared = self._shared
        asked_at_s = time.monotonic()
        try:
            track = self._output.load(segment.path)
        except AudioError as error:
            self._give_up(wish, segment, str(error))
            return
        with shared.changed:
            clock = shared.clock
            if shared.wish.ticket != wish.ticket or shared.wish.paused or clock is None:
                return
            end_s = min(segment.song_end_s, track.duration_s)
            shared.clock = replace(clock, end_s=end_s)
            start_s = segment.start_s
            if wish.ticket == self._late_ticket and wish.at_s is None:
                start_s = max(start_s, clock.position_s(shared.now_s))
        if segment.start_s >= end_s:
            found = (
                f"{segment.path}: its sound ends at {end_s:.1f} s; expected it to reach past {segment.start_s:.1f} s"
            )
            self._give_up(wish, segment, found)
            return
        # After a device came late the song may be over by now.
        if start_s < end_s:
            try:
                self._output.crossfade(
                    track,
                    start_s=start_s,
                    end_s=end_s,
                    fade_s=wish.fade_s,
                    gain_db=segment.gain_db,
                    at_s=wish.at_s,
                )
            except AudioError as error:
                self._give_up(wish, segment, str(error))
                return
        if wish.at_s is None and time.monotonic() - asked_at_s > _LATE_START_S:
            self._count_from_now(wish, start_s)
        self._done = replace(self._done, ticket=wish.ticket, segment=segment, paused=False)

    def _count_from_now(self, wish: Wish, start_s: float) -> None:
        """Bring the clock in line with a song that began late."""
        shared = self._shared
        with shared.changed:
            if shared.wish.ticket == wish.ticket and shared.clock is not None:
                shared.clock = replace(shared.clock, anchor_s=start_s, since_s=shared.now_s)

    def _give_up(self, wish: Wish, segment: Segment, reason: str) -> None:
        """Report a song that cannot play, and let what still sounds of the one before fade out."""
        shared = self._shared
        # With a folder away for hours, one song after the other is tried.
        self._seldom.warning("song", f"{segment.song_id} cannot play: {reason}")
        with shared.changed:
            shared.failures.append((segment.song_id, reason))
            self._done = replace(self._done, ticket=wish.ticket, segment=None)
            if shared.wish.ticket == wish.ticket:
                shared.clock = None
                shared.failed = True
                shared.want_song(None, CROSSFADE_S)

    def _hear_of_early_end(self) -> None:
        """Bring the clock in line with a song that is shorter than it said, and report one that is damaged.

        What is left of its sound plays on, so that the next song can fade into it.
        """
        shared, segment = self._shared, self._done.segment
        early = None if segment is None else self._output.early_end()
        if segment is None or early is None:
            return
        with shared.changed:
            self._done = replace(self._done, segment=None)
            current = shared.wish.ticket == self._done.ticket
            if current and shared.clock is not None:
                shared.clock = replace(shared.clock, end_s=early.at_s)
            if early.damage:
                shared.failures.append((segment.song_id, early.damage))
                if current:
                    shared.clock = None
                    shared.failed = True
                    # Silence is wanted from now on and counts as told: the device brings the song to its end by itself.
                    shared.wish = replace(shared.wish, ticket=shared.wish.ticket + 1, segment=None)
                    self._done = replace(self._done, ticket=shared.wish.ticket)
        logger.warning("%s ends early, at %.1f s. %s", segment.song_id, early.at_s, early.damage)
