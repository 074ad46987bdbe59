"""Counts what the loop does between two looks at the machine, and tells the pace."""

from __future__ import annotations

from typing import Protocol

from emomusic_edge.contracts import Pace

from .budget import Load, RateBudget


class Machine(Protocol):
    """What the machine says of itself."""

    def cpu_s(self) -> float:
        """CPU seconds that this process and those that help it have used so far, as a share of the cores it may use.

        What keeps every one of these cores busy for a second uses one second of them.
        """
        ...

    def temperature_c(self) -> float | None:
        """Of the hottest sensor; None where none answers."""
        ...


class FramePacer:
    """The loop's period, looked at anew every few seconds.

    Args:
        budget: chooses the rate.
        machine: read at each look; None never looks, for runs that do not pass in real time.
    """

    def __init__(self, budget: RateBudget, machine: Machine | None) -> None:
        self._budget = budget
        self._machine = machine
        self._frames = 0
        self._busy_s = 0.0
        self._since_s: float | None = None
        self._cpu_s = 0.0
        self._temperature_c = None if machine is None else machine.temperature_c()

    @property
    def period_s(self) -> float:
        """Seconds from one frame to the next."""
        return 1.0 / self._budget.frames_per_second

    @property
    def reason(self) -> str:
        """Why the budget does not hold; empty when it does."""
        return self._budget.reason

    def pace(self, scene_share: float | None) -> Pace:
        """What to tell; `scene_share` is the share of frames on which the scene model looked anew."""
        budget = self._budget
        return Pace(budget.reachable_frames_per_second, scene_share, budget.limited_by, self._temperature_c)

    def worked(self, now_s: float, busy_s: float) -> None:
        """A frame was worked on.

        Args:
            now_s: monotonic seconds.
            busy_s: how long its step took.
        """
        if self._machine is None:
            return
        if self._since_s is None:
            # What came before this frame (loading, a pause) is not its rate's doing.
            self._begin(self._machine, now_s)
            return
        self._frames += 1
        self._busy_s += busy_s
        wall_s = now_s - self._since_s
        if wall_s < self._budget.look_s:
            return
        used_s = self._machine.cpu_s() - self._cpu_s
        self._temperature_c = self._machine.temperature_c()
        self._budget.look(Load(wall_s, self._frames, self._busy_s, 100.0 * used_s / wall_s, self._temperature_c))
        self._begin(self._machine, now_s)

    def rested(self) -> None:
        """No frame came: the count begins anew with the next one."""
        self._since_s = None

    def _begin(self, machine: Machine, now_s: float) -> None:
        self._since_s, self._frames, self._busy_s, self._cpu_s = now_s, 0, 0.0, machine.cpu_s()
