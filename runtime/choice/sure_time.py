"""How much of a song's time the feeling was sure: what `guide` asks before it goes a step further."""

from __future__ import annotations

CARRIED_S = 5.0
"""So much of what was before a song counts on at its start: a skip in its first second is judged by more than one
frame. Two and a half of the stabilizer's time constants."""


class SureTime:
    """Told with each step whether the feeling is sure; weighs by time, so that the frame rate has no say."""

    def __init__(self) -> None:
        self._sure_s = 0.0
        self._all_s = 0.0
        self._at_s: float | None = None
        self._now_sure: bool | None = None

    def song_started(self) -> None:
        """Count anew, but for the last seconds."""
        if self._all_s > CARRIED_S:
            self._sure_s *= CARRIED_S / self._all_s
            self._all_s = CARRIED_S

    def note(self, sure: bool | None, now_s: float) -> None:
        """What holds from now on.

        Args:
            sure: whether the feeling is sure; None where the time is not to count (a pause).
            now_s: the loop's clock.
        """
        if self._at_s is not None and self._now_sure is not None:
            passed_s = max(now_s - self._at_s, 0.0)
            self._all_s += passed_s
            self._sure_s += passed_s if self._now_sure else 0.0
        self._at_s, self._now_sure = now_s, sure

    @property
    def share(self) -> float:
        """Of the time since the song's start (and the seconds carried on), 0..1; before any has passed, what is now."""
        if self._all_s > 0:
            return self._sure_s / self._all_s
        return 1.0 if self._now_sure else 0.0
