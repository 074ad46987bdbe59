"""Frames in real time: one thread reads the source into a slot of one frame, and the loop takes the newest.

What the loop was too slow for is dropped and counted, never queued.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from emomusic_edge.contracts import Frame, FrameSource
from emomusic_edge.errors import SourceError

from .picture_watch import PictureWatch
from .timed_source import TimedSource

_log = logging.getLogger(__name__)

# A file that decodes slower than it plays falls behind; past this it plays slower instead of ever later.
_LATE_S = 1.0

# What close() gives a blocked read before it leaves the thread to end with the process.
_JOIN_S = 0.8


class LatestFrameCapture:
    """One thread reads the source; `next` gives the newest frame.

    A camera that fails is closed and opened again; between two attempts lies `retry_s` at least, so that one that ran
    well until then is tried at once.

    Args:
        source: opened, read and closed on the capture thread alone.
        pace: play a file in real time, its frames stamped anew with `clock` (first frame = now). Without it, and for a
            camera, the source's own stamps stand.
        clock: monotonic seconds.
        retry_s: between the beginnings of two attempts to open a camera.
        stall_s: how long a camera may give nothing before `reason` says so.
        watch: judges a camera's pictures; those it does not believe are not given, and `reason` tells why.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        pace: bool = True,
        clock: Callable[[], float] = time.monotonic,
        retry_s: float = 2.0,
        stall_s: float = 3.0,
        watch: PictureWatch | None = None,
    ) -> None:
        self._source = TimedSource(source, clock)
        self._pace = pace
        self._clock = clock
        self._retry_s = retry_s
        self._stall_s = stall_s
        self._watch = watch
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        # guards everything below
        self._changed = threading.Condition()
        self._slot: Frame | None = None
        self._dropped = 0
        self._reason = ""
        self._failure: Exception | None = None
        self._opened = self._finished = self._paused = False
        self._pauses = 0
        self._paused_at_s = 0.0
        self._stood_still_s = 0.0
        self._closing = False
        self._waiting_since_s: float | None = None

    @property
    def ended(self) -> bool:
        """Whether no frame will come any more; False while the last one is still to be taken."""
        with self._changed:
            return self._closing or (self._finished and self._slot is None)

    @property
    def reason(self) -> str:
        """Why no frames come; also set while a camera's read hangs."""
        with self._changed:
            since_s = self._waiting_since_s
            if not self._reason and since_s is not None and self._clock() - since_s > self._stall_s:
                return f"{self._source.name} has given no picture for over {self._stall_s:g} s"
            return self._reason

    @property
    def trouble(self) -> str:
        """What is wrong though frames come; empty when nothing is."""
        return self._source.trouble

    @property
    def silent_s(self) -> float:
        """For how long the source has held the thread, in one call."""
        return self._source.silent_s

    @property
    def helper_cpu_s(self) -> float:
        """CPU seconds of the process that reads the camera; 0 for a file."""
        return self._source.helper_cpu_s

    @property
    def dropped(self) -> int:
        """How many frames were overtaken by a newer one."""
        with self._changed:
            return self._dropped

    def start(self) -> None:
        """Start the thread; a file is open when this returns, a camera may come later."""
        self._thread.start()
        if self._source.live:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self._finished)
            if not self._opened and self._failure is not None:
                raise self._failure

    def next(self, timeout_s: float) -> Frame | None:
        """The newest frame not yet given, waiting for one at most `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None or self._finished or self._closing, timeout_s)
            frame, self._slot = self._slot, None
            if frame is None and self._failure is not None and not self._closing:
                raise self._failure
            return frame

    def pause(self) -> None:
        """Close the camera (or stand still in the file) and forget the frame that waits."""
        with self._changed:
            if not self._paused:
                self._paused_at_s = self._clock()
            self._paused, self._slot, self._reason = True, None, ""
            self._waiting_since_s = None
            self._pauses += 1
            self._source.interrupt()
            self._changed.notify_all()

    def resume(self) -> None:
        """Open the camera again (or go on in the file)."""
        with self._changed:
            if self._paused:
                self._stood_still_s += self._clock() - self._paused_at_s
            self._paused = False
            if not self._closing:
                self._source.allow()
            self._changed.notify_all()

    def close(self) -> None:
        """Stop the thread; one that blocks in a read is left to end with the process."""
        with self._changed:
            self._closing, self._slot = True, None
            self._source.interrupt()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)
            if self._thread.is_alive():
                _log.warning("%s blocks and is left behind", self._source.name)

    def _run(self) -> None:
        failure: Exception | None = None
        try:
            if self._source.live:
                self._follow_camera()
            else:
                self._play_file()
        except SourceError as cause:
            failure = cause
        except Exception as cause:  # noqa: BLE001 - raised again on the thread of the caller
            _log.exception("the capture thread failed on %s", self._source.name)
            failure = cause
        finally:
            self._source.close()
            with self._changed:
                self._finished, self._failure = True, failure
                self._reason = str(failure) if failure else ""
                self._waiting_since_s = None
                self._changed.notify_all()

    def _follow_camera(self) -> None:
        pauses = -1
        while self._wait_while_paused():
            with self._changed:
                if self._pauses != pauses and self._watch is not None:
                    self._watch.forget()
                pauses = self._pauses
            began_s = self._clock()
            try:
                self._wait_begins()
                self._source.open()
                while (frame := self._source.read()) is not None and self._offer_if_believed(frame):
                    self._wait_begins()
            except SourceError as cause:
                self._source.close()
                self._wait_to_retry(cause, began_s, pauses)
            except Exception as cause:  # noqa: BLE001 - told, and tried again
                # Nobody foresaw it; a camera is left on for months, and the next attempt may well work.
                _log.exception("the capture thread failed on %s", self._source.name)
                self._source.close()
                why = f"reading {self._source.name} failed ({type(cause).__name__}: {cause}); it is opened anew"
                self._wait_to_retry(SourceError(why), began_s, pauses)
            finally:
                self._source.close()

    def _play_file(self) -> None:
        self._source.open()
        with self._changed:
            self._opened = True
            self._changed.notify_all()
        start_s: float | None = None
        while (frame := self._source.read()) is not None:
            if self._pace:
                start_s, due_s = self._wait_until_due(frame.captured_at_s, start_s)
                frame = replace(frame, captured_at_s=due_s)
            if not self._wait_while_paused() or not (self._offer(frame) or self._wait_while_paused()):
                return

    def _wait_until_due(self, own_time_s: float, start_s: float | None) -> tuple[float, float]:
        """Wait for the moment of a file's frame, `own_time_s` in the file, which began at `start_s`, pauses left out.

        Returns:
            When the file began (moved on where it plays too slowly), and when the frame was due on the clock.
        """
        with self._changed:
            if start_s is None:
                start_s = self._clock() - own_time_s - self._stood_still_s
            while not self._closing:
                self._changed.wait_for(lambda: self._closing or not self._paused)
                ahead_s = start_s + self._stood_still_s + own_time_s - self._clock()
                if ahead_s < -_LATE_S:
                    start_s -= ahead_s
                if ahead_s <= 0:
                    break
                self._changed.wait(ahead_s)
            return start_s, start_s + self._stood_still_s + own_time_s

    def _wait_while_paused(self) -> bool:
        """False when the capture is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or not self._paused)
            return not self._closing

    def _wait_begins(self) -> None:
        with self._changed:
            if self._waiting_since_s is None and not self._paused:
                self._waiting_since_s = self._clock()

    def _wait_to_retry(self, cause: SourceError, began_s: float, pauses: int) -> None:
        """Tell why the camera failed, and wait until it may be opened again.

        Args:
            cause: of the failure.
            began_s: when this attempt to open it began.
            pauses: how many pauses there had been then. One since then ends the wait, even when it is over by now, and
                the failure is no failure: the pause closed the camera.
        """
        with self._changed:
            if self._closing or self._pauses != pauses:
                return
            told = f"{cause} {cause.mend}".strip() if cause.mend else str(cause)
            if told != self._reason:
                _log.warning("camera: %s", told)
            self._reason = told
            left_s = began_s + self._retry_s - self._clock()
            self._changed.wait_for(lambda: self._closing or self._pauses != pauses, max(left_s, 0.0))

    def _offer_if_believed(self, frame: Frame) -> bool:
        """As _offer; a picture that is not believed is forgotten, and the reason told.

        Raises:
            SourceError: the camera should be opened anew.
        """
        if self._watch is None:
            return self._offer(frame)
        judgement = self._watch.look(frame.image, self._clock())
        if judgement.believed:
            return self._offer(frame)
        if judgement.reopen:
            raise SourceError(f"{judgement.reason}. The camera is opened anew.")
        with self._changed:
            if self._paused or self._closing:
                return False
            self._waiting_since_s = None
            if judgement.reason and judgement.reason != self._reason:
                _log.warning("camera: %s", judgement.reason)
            self._reason = judgement.reason or self._reason
            return True

    def _offer(self, frame: Frame) -> bool:
        """Put a frame into the slot; False, and the frame is forgotten, when none is wanted any more."""
        with self._changed:
            if self._paused or self._closing:
                return False
            if self._slot is not None:
                self._dropped += 1
            self._slot, self._reason, self._waiting_since_s = frame, "", None
            self._changed.notify_all()
            return True
