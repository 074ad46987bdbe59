"""How much of a song's time the feeling was sure: what `guide` asks before it goes a step further."""

from __future__ import annotations

from collections import deque

CARRIED_S = 5.0
"""The last seconds before a song count on at its start: a skip in its first second is judged by more than one frame.
Two and a half of the stabilizer's time constants."""


class SureTime:
    """Told with each step whether the feeling is sure; weighs by time, so that the frame rate has no say."""

    def __init__(self) -> None:
        self._sure_s = 0.0
        self._all_s = 0.0
        self._last: deque[tuple[float, bool]] = deque()  # the last CARRIED_S of the time that counts: how long, how
        self._last_s = 0.0
        self._at_s: float | None = None
        self._now_sure: bool | None = None

    def song_started(self) -> None:
        """Count anew, but for the last seconds."""
        self._all_s = self._last_s
        self._sure_s = sum(passed_s for passed_s, sure in self._last if sure)

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
            self._keep(passed_s, self._now_sure)
        self._at_s, self._now_sure = now_s, sure

    def _keep(self, passed_s: float, sure: bool) -> None:
        """Put a stretch behind the last seconds, and let go what is older than those."""
        if passed_s == 0:
            return
        self._last.append((passed_s, sure))
        self._last_s = sum(kept_s for kept_s, _ in self._last)
        while self._last_s > CARRIED_S:
            first_s, first_sure = self._last.popleft()
            self._last_s -= first_s
            if self._last_s < CARRIED_S:
                self._last.appendleft((CARRIED_S - self._last_s, first_sure))
                self._last_s = CARRIED_S

    @property
    def share(self) -> float:
        """Of the time since the song's start (and the seconds carried on), 0..1; before any has passed, what is now."""
        if self._all_s > 0:
            return self._sure_s / self._all_s
        return 1.0 if self._now_sure else 0.0
