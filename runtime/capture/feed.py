"""The seam between the loop and where its frames come from."""

from __future__ import annotations

from typing import Protocol

from emomusic_edge.contracts import Frame


class FrameFeed(Protocol):
    """What the loop takes its frames from. `captured_at_s` of the frames is on the clock that the loop runs on."""

    @property
    def ended(self) -> bool:
        """Whether no frame will come any more: the file is at its end (or broke off), or the feed is closed."""
        ...

    @property
    def reason(self) -> str:
        """Why no frames come though they should; empty when all is well."""
        ...

    @property
    def trouble(self) -> str:
        """What is wrong though frames come, e.g. that most pictures of the camera are broken; empty when nothing is."""
        ...

    @property
    def silent_s(self) -> float:
        """For how many seconds its thread has given no sign of life; a camera that is away or closed is no silence."""
        ...

    @property
    def helper_cpu_s(self) -> float:
        """CPU seconds that processes of its own have used so far: a camera is read by one."""
        ...

    @property
    def dropped(self) -> int:
        """How many frames the source gave that the loop did not take."""
        ...

    def start(self) -> None:
        """Open the source.

        Raises:
            SourceError: a file does not open. A camera that does not is retried, and `reason` tells it.
        """
        ...

    def next(self, timeout_s: float) -> Frame | None:
        """The newest frame not yet given; None when none came in time, while paused, and at the end.

        Raises:
            SourceError: a file broke off; the frames before it were given, and `ended` is True from now on.
        """
        ...

    def pause(self) -> None:
        """Give no frames; a camera is closed, a file stands still."""
        ...

    def resume(self) -> None:
        """Undo pause()."""
        ...

    def close(self) -> None:
        """Let go of the source, within a second even when it blocks."""
        ...
