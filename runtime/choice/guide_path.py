"""The way of `guide`, by the iso principle: the first song matches the feeling, each further one lies a step nearer.

Altshuler 1948; Starcke et al., IJERPH 18:12486, 2021. The way is a straight line in the plane of music. It is walked
one step a song, and only while somebody can be seen to follow and there is music for the next step:

- while the feeling is uncertain the next song is sought where the last one was. Uncertain: there is none, it is stale,
  or for less than GUIDE_SURE_SHARE of the song both axes were sure. One held frame stops nothing, one sure frame starts
  nothing;
- a next point that is not reachable is brought nearer by quarters of a step, and if that does not help, the way waits.
  Reachable: a song that may be chosen lies within GUIDE_REACH of it. From a point without music within that reach (a
  strong feeling often lies there) a step is also free that leads nearer to music: it could not be left otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from emomusic_edge.contracts import GuideStatus, StableAffect, ValenceArousal

GUIDE_REACH = 0.1
"""DEAM units. The default margin, below which a difference is not worth a switch; less than a step from a sad feeling
to the default goal in five."""

GUIDE_SURE_SHARE = 0.5
"""Of a song's time. On the demo clip a tenth of the frames is held; in a dim room, or with nobody in it, most are."""

_SHORTER = (1.0, 0.75, 0.5, 0.25)
_END = 1.0 - 1e-9


class GuidePath:
    """One walk from a start to the goal; `next_point` changes nothing.

    Attributes:
        goal: where it leads, DEAM units.
    """

    def __init__(
        self, start: ValenceArousal, goal: ValenceArousal, steps: int, nearest_music: Callable[[ValenceArousal], float]
    ) -> None:
        """Begin at the first song's target.

        Args:
            start: DEAM units.
            goal: likewise.
            steps: >= 1; so many whole steps reach the goal.
            nearest_music: how far from a point the nearest song is that may be chosen; infinite without one.
        """
        self.goal = goal
        self._start = start
        self._step = 1.0 / steps
        self._nearest_music = nearest_music
        self._shares = [0.0]  # of the way, one for each step that was taken

    @property
    def at_start(self) -> bool:
        """Whether no step was taken yet."""
        return len(self._shares) == 1

    @property
    def point(self) -> ValenceArousal:
        """Where the song that plays was sought."""
        return self._at(self._shares[-1])

    def next_point(self, stable: StableAffect | None, sure_share: float) -> tuple[ValenceArousal, str]:
        """Where the next song is sought, and why that is no whole step: "", `uncertain`, `shorter` or `unreachable`.

        Args:
            stable: the steadied feeling now.
            sure_share: of the time of the song that ends, in which no axis was held; 0..1.
        """
        share = self._shares[-1]
        if share >= _END:
            return self.point, ""
        if stable is None or stable.stale or sure_share < GUIDE_SURE_SHARE:
            return self.point, "uncertain"
        here = self._nearest_music(self.point)
        for part in _SHORTER:
            point = self._at(self._after(share, part))
            there = self._nearest_music(point)
            if there <= GUIDE_REACH or there < here:
                return point, "" if part == 1.0 else "shorter"
        return self.point, "unreachable"

    def song_started(self, target: ValenceArousal) -> bool:
        """A song was chosen for `target`; returns whether that was a step."""
        share = self._shares[-1]
        for part in _SHORTER:
            after = self._after(share, part)
            if target == self._at(after) and after > share:
                self._shares.append(after)
                return True
        return False

    def step_back(self) -> None:
        """The song of the last step cannot play."""
        if len(self._shares) > 1:
            self._shares.pop()

    def status(self, waits: str) -> GuideStatus:
        """The points walked, the planned ones after them, and how far it has come."""
        shares = list(self._shares)
        while shares[-1] < _END:
            shares.append(self._after(shares[-1], 1.0))
        return GuideStatus(tuple(self._at(share) for share in shares), len(self._shares) - 1, waits)

    def _after(self, share: float, part: float) -> float:
        after = share + part * self._step
        return 1.0 if after >= _END or math.isclose(after, 1.0) else after

    def _at(self, share: float) -> ValenceArousal:
        return ValenceArousal(
            (1.0 - share) * self._start.valence + share * self.goal.valence,
            (1.0 - share) * self._start.arousal + share * self.goal.arousal,
        )
