"""One thing that was looked at: how it stands, what that means, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

Figure = str | float | int | bool | None | Sequence[str]
"""What a program may want to read of a finding; units stand in the names."""


class Level(str, Enum):
    """How a thing stands."""

    OK = "ok"
    """As it should be, or not needed here."""
    WARNING = "warning"
    """A run works all the same, only less well, less surely or less privately."""
    PROBLEM = "problem"
    """A run does not work, or does not do what it was set up for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what `--only` calls it, e.g. `camera`.
        name: which thing of it, e.g. `rate`; subject and name stay the same from version to version.
        level: how it stands.
        found: one sentence or less, without a full stop.
        meaning: what that means for a run; empty where `found` says it all.
        mend: the command or setting that mends it; empty where nothing has to, or can.
        figures: the same for programs.
    """

    subject: str
    name: str
    level: Level
    found: str
    meaning: str = ""
    mend: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class About:
    """Makes the findings of one subject."""

    subject: str

    def ok(self, name: str, found: str, *, meaning: str = "", **figures: Figure) -> Finding:
        """All is well with it."""
        return Finding(self.subject, name, Level.OK, found, meaning, "", figures)

    def warning(self, name: str, found: str, *, meaning: str, mend: str = "", **figures: Figure) -> Finding:
        """It works, but."""
        return Finding(self.subject, name, Level.WARNING, found, meaning, mend, figures)

    def problem(self, name: str, found: str, *, meaning: str, mend: str = "", **figures: Figure) -> Finding:
        """It does not work."""
        return Finding(self.subject, name, Level.PROBLEM, found, meaning, mend, figures)


def worst(levels: Sequence[Level]) -> Level:
    """The gravest of some levels; ok of none."""
    order = list(Level)
    return max(levels, key=order.index, default=Level.OK)
