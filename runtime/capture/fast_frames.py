"""Frames of a file as fast as the loop asks for them: its clock is the file's own time, and there is no thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

from emomusic_edge.contracts import Frame, FrameSource
from emomusic_edge.errors import ConfigError, SourceError

# Times of frames come as float fractions: 0.1 s may be told as 0.0999999.
_TICK_SLACK_S = 1e-6


class FastFrames:
    """The frames of a file at a steady rate of the file's own time, as fast as they are asked for; no thread.

    Of the source's frames it gives the first at or after each tick of 1 / frames_per_second.

    Raises:
        ConfigError: the source is a camera, whose time cannot be hurried.
    """

    def __init__(self, source: FrameSource, frames_per_second: float) -> None:
        if source.live:
            raise ConfigError(
                f"{source.name} is a camera and gives its pictures in real time; --fast is for files.",
                mend="leave out --fast, or name a video file or a folder of pictures",
            )
        if not frames_per_second > 0:
            raise ValueError(f"frames_per_second is {frames_per_second}, expected > 0")
        self._source = source
        self._frames_per_second = frames_per_second
        self._tick = 0
        self._dropped = 0
        self._ended = False
        self._reason = ""
        self._running = threading.Event()
        self._running.set()

    @property
    def ended(self) -> bool:
        """Whether the file is at its end."""
        return self._ended

    @property
    def reason(self) -> str:
        """Why the file broke off; empty otherwise."""
        return self._reason

    @property
    def trouble(self) -> str:
        """Empty: what is wrong with a file ends it."""
        return ""

    @property
    def silent_s(self) -> float:
        """0: there is no thread."""
        return 0.0

    @property
    def helper_cpu_s(self) -> float:
        """0: no other process reads the file."""
        return 0.0

    @property
    def dropped(self) -> int:
        """How many frames lay between the ticks."""
        return self._dropped

    def start(self) -> None:
        """Open the file."""
        self._source.open()

    def next(self, timeout_s: float) -> Frame | None:
        """The next frame; waits `timeout_s` only while paused."""
        if self._ended or not self._running.wait(timeout_s):
            return None
        try:
            while (frame := self._source.read()) is not None:
                ticks = (frame.captured_at_s + _TICK_SLACK_S) * self._frames_per_second
                if ticks >= self._tick:
                    self._tick = math.floor(ticks) + 1
                    return frame
                self._dropped += 1
        except SourceError as cause:
            self._reason = str(cause)
            self.close()
            raise
        self.close()
        return None

    def __iter__(self) -> Iterator[Frame]:
        """The frames from here to the end of the file."""
        while (frame := self.next(0.0)) is not None:
            yield frame

    def pause(self) -> None:
        """Give no frames."""
        self._running.clear()

    def resume(self) -> None:
        """Go on where pause() stood still."""
        self._running.set()

    def close(self) -> None:
        """Let go of the file."""
        self._ended = True
        self._source.close()
