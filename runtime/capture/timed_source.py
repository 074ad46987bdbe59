"""A frame source that tells for how long it has held its thread, so that one that hangs is seen."""

from __future__ import annotations

from collections.abc import Callable

from emomusic_edge.contracts import Frame, FrameSource

from .camera_seams import Helped, Interruptible, Troubled


class TimedSource:
    """A source, its calls timed; what only some cameras can do is left out where it cannot be done.

    `silent_s`, `trouble`, `helper_cpu_s`, `interrupt` and `allow` may be used from any thread.

    Args:
        source: what is read.
        clock: monotonic seconds.
    """

    def __init__(self, source: FrameSource, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._in_source_since_s: float | None = None

    @property
    def name(self) -> str:
        """The source's."""
        return self._source.name

    @property
    def live(self) -> bool:
        """Whether it is a camera."""
        return self._source.live

    @property
    def trouble(self) -> str:
        """What is wrong though frames come; empty when nothing is."""
        return self._source.trouble if isinstance(self._source, Troubled) else ""

    @property
    def helper_cpu_s(self) -> float:
        """CPU seconds of processes of its own; 0 where it has none."""
        return self._source.cpu_s() if isinstance(self._source, Helped) else 0.0

    @property
    def silent_s(self) -> float:
        """For how long the source has held the thread, in one call."""
        since_s = self._in_source_since_s
        return 0.0 if since_s is None else self._clock() - since_s

    def open(self) -> None:
        """Open it; raises what it raises."""
        self._in_source_since_s = self._clock()
        try:
            self._source.open()
        finally:
            self._in_source_since_s = None

    def read(self) -> Frame | None:
        """Its next frame; raises what it raises."""
        self._in_source_since_s = self._clock()
        try:
            return self._source.read()
        finally:
            self._in_source_since_s = None

    def close(self) -> None:
        """Let go of the device."""
        self._source.close()

    def interrupt(self) -> None:
        """End a read that blocks, where the source can; otherwise the device is held until the read ends."""
        if isinstance(self._source, Interruptible):
            self._source.interrupt()

    def allow(self) -> None:
        """Undo `interrupt()`."""
        if isinstance(self._source, Interruptible):
            self._source.allow()
