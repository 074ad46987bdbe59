"""One minute made of many snapshots: means and counts, nothing that could tell a single moment."""

from __future__ import annotations

from dataclasses import dataclass

from emomusic_edge.contracts import StateSnapshot

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Minute:
    """What is kept of a minute.

    Attributes:
        start_s: when it began, seconds of the epoch, a multiple of 60.
        valence, arousal: means of the steadied feeling, FindingEmo units.
        frames: so many frames had a steadied feeling that was not stale; at least 1.
        faces: in so many of them a face was found.
    """

    start_s: int
    valence: float
    arousal: float
    frames: int
    faces: int


class MinuteMeans:
    """Gathers snapshots into minutes."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin with nothing."""
        self._start_s = 0
        self._valence = self._arousal = 0.0
        self._frames = self._faces = 0

    def add(self, snapshot: StateSnapshot, wall_s: float) -> Minute | None:
        """Take in what was told at a time.

        Args:
            snapshot: counts where a new frame led to a steadied feeling that is not stale.
            wall_s: seconds of the epoch. A clock that was set, forward or back, ends the minute.

        Returns:
            The minute that ended with this, if one with frames in it did.
        """
        start_s = int(wall_s // MINUTE_S) * MINUTE_S
        ended = None
        if start_s != self._start_s:
            ended = self._made()
            self.forget()
            self._start_s = start_s
        stable = snapshot.stable
        if snapshot.new_frame and stable is not None and not stable.stale:
            self._valence += stable.mean.valence
            self._arousal += stable.mean.arousal
            self._frames += 1
            self._faces += snapshot.face is not None
        return ended

    def _made(self) -> Minute | None:
        if not self._frames:
            return None
        return Minute(
            self._start_s, self._valence / self._frames, self._arousal / self._frames, self._frames, self._faces
        )
