"""Two devices of one name: who of them is to stop. A rule without clock or network."""

from __future__ import annotations

from enum import Enum

# Messages take their time: who is older cannot be told when both started within this.
_SAME_AGE_S = 5.0


class Standing(Enum):
    """What a claim on our name means for us."""

    OURS = "ours"
    """It is our own, come back from the broker."""
    STAY = "stay"
    """We run longer: say so."""
    STOP = "stop"
    """The other runs longer: give way."""


def standing(run: str, uptime_s: float, other_run: str, other_uptime_s: float) -> Standing:
    """Who may stay of two that use one name: the one that runs longer; of equals, that of the higher run id.

    Both sides come to the same answer but for starts that lie `5 s` apart to within the time a message takes; then
    neither stops at once, and the next claim is judged again. They never both stop.

    Args:
        run: our run's id.
        uptime_s: how long we have run.
        other_run: the other's id.
        other_uptime_s: how long it says that it has run.
    """
    if other_run == run:
        return Standing.OURS
    older_by_s = uptime_s - other_uptime_s
    if abs(older_by_s) >= _SAME_AGE_S:
        return Standing.STAY if older_by_s > 0 else Standing.STOP
    return Standing.STAY if run > other_run else Standing.STOP
