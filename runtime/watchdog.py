"""Tells the service manager that all is well, but only while every part moves; a hung one is named and told no more.

A timer alone would say that all is well of a service whose camera thread has hung for hours. Here the loop asks each
part how long it has been silent, and itself asks by being called.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

_log = logging.getLogger(__name__)

# So long between two steps, and the whole process was stopped: the parts' silence meanwhile was none of theirs.
_STOOD_STILL_S = 5.0
# A loop that is slow for good (a model of 6 s) looks the same: a part that gives no sign between is forgiven no more.
_FORGIVEN_TIMES = 3


class Manager(Protocol):
    """The part of ServiceManager that is used here."""

    @property
    def watchdog_s(self) -> float | None:
        """Within what time a sign of life is wanted; None where none is."""
        ...

    def alive(self) -> None:
        """Every part has moved lately."""
        ...

    def status(self, text: str) -> None:
        """One line for people."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the service.

    Attributes:
        silent_s: for how long it has given no sign of life. A part that waits as it should (a camera that is closed or
            looked for, a broker that is away) gives signs: it tries again and again.
        limit_s: past this it hangs.
    """

    silent_s: Callable[[], float]
    limit_s: float


class Watchdog:
    """Steps with the loop."""

    def __init__(self, manager: Manager, parts: Mapping[str, Part]) -> None:
        """Watch the parts, by name."""
        self._manager = manager
        self._parts = parts
        # A third of what is asked for, as sd_watchdog_enabled(3) advises half: a busy moment must not end the service.
        self._every_s = None if manager.watchdog_s is None else manager.watchdog_s / 3
        self._told_at_s = float("-inf")
        self._stepped_at_s = float("-inf")
        self._going_since_s = dict.fromkeys(parts, float("-inf"))
        self._forgiven = dict.fromkeys(parts, 0)
        self._hanging: tuple[str, ...] = ()

    def step(self, now_s: float, status: str) -> None:
        """Look at the parts, at most every third of the watchdog's time.

        Args:
            now_s: monotonic seconds.
            status: a line for `systemctl status`; nothing of feelings.
        """
        if now_s - self._stepped_at_s > _STOOD_STILL_S:
            self._forgive(now_s)
        self._stepped_at_s = now_s
        if self._every_s is None or now_s - self._told_at_s < self._every_s:
            return
        self._told_at_s = now_s
        hanging = tuple(
            name
            for name, part in self._parts.items()
            if min(part.silent_s(), now_s - self._going_since_s[name]) > part.limit_s
        )
        if hanging != self._hanging and hanging:
            _log.error(
                "no sign of life from: %s; the service manager is told no more that all is well", ", ".join(hanging)
            )
        self._hanging = hanging
        if hanging:
            self._manager.status(f"hangs: {', '.join(hanging)}")
            return
        self._manager.status(status)
        self._manager.alive()

    def _forgive(self, now_s: float) -> None:
        """Count the silence of each part from now on, a few times at most without a sign of life in between."""
        for name, part in self._parts.items():
            if part.silent_s() < now_s - self._going_since_s[name]:
                self._forgiven[name] = 0
            if self._forgiven[name] < _FORGIVEN_TIMES:
                self._forgiven[name] += 1
                self._going_since_s[name] = now_s
