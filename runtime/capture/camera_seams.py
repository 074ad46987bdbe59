"""What some cameras can do beyond contracts.FrameSource; the capture uses it where it is there."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Interruptible(Protocol):
    """A source whose blocking read another thread can end."""

    def interrupt(self) -> None:
        """Let go of the device at once: `read` and `open` raise SourceError from now on, until `allow()`."""
        ...

    def allow(self) -> None:
        """Undo `interrupt()`."""
        ...


@runtime_checkable
class Preparable(Protocol):
    """A source that can do part of its opening before anybody may see."""

    def prepare(self) -> None:
        """Do what touches no device; `open` raises what went wrong, `close` undoes it."""
        ...


@runtime_checkable
class Helped(Protocol):
    """A source that processes of its own read."""

    def cpu_s(self) -> float:
        """CPU seconds that they have used so far, from any thread; never less than before."""
        ...


@runtime_checkable
class Troubled(Protocol):
    """A source that tells what is wrong though pictures come."""

    @property
    def trouble(self) -> str:
        """Empty when nothing is wrong."""
        ...
