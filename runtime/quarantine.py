"""Songs that did not decode: kept out for a while, and no haste in trying the next."""

from __future__ import annotations

# A song that failed is tried again after a minute: a folder that was away (a network share, a card) is then heard
# again soon. One that fails again though others played meanwhile is damaged, and is tried once an hour.
FIRST_RETRY_S = 60.0
LATER_RETRY_S = 3600.0

# With a whole folder gone, every song fails at once: without a pause the library would be tried through in seconds.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
"""So a folder that is back is heard within so much and the moment that a song takes to begin."""


class Quarantine:
    """Steps with the loop; time is an argument, seconds of the loop's clock."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}
        self._suspects: set[str] = set()
        self._in_a_row = 0
        self._choose_from_s = 0.0

    @property
    def in_a_row(self) -> int:
        """How many songs failed one after the other, since one played; counts to 16."""
        return self._in_a_row

    def failed(self, song_id: str, now_s: float) -> None:
        """A song did not decode: it stays out for a minute, or for an hour if only others could be played since."""
        self._until_s[song_id] = now_s + (LATER_RETRY_S if song_id in self._suspects else FIRST_RETRY_S)
        if self._in_a_row:
            self._choose_from_s = now_s + min(FIRST_PAUSE_S * 2 ** (self._in_a_row - 1), LONGEST_PAUSE_S)
        self._in_a_row = min(self._in_a_row + 1, 16)

    def played(self, song_id: str) -> None:
        """A song truly plays: what failed before, it alone is to blame for; what fails next is the first in a row."""
        self._in_a_row = 0
        self._suspects |= set(self._until_s)
        self._suspects.discard(song_id)

    def pausing(self, now_s: float) -> bool:
        """Whether the last songs failed one after the other, so that the next is not to be tried yet."""
        return now_s < self._choose_from_s

    def released(self, now_s: float, *, others: bool = True) -> list[str]:
        """The songs that may be chosen again from this call on.

        Args:
            now_s: the loop's clock.
            others: whether any song may be chosen that is not kept out. Where there is none, the one that comes free
                first need not wait for it, only for the pause: a small library whose folder was away is heard again
                as soon as a large one, in which some song is always left to try.
        """
        free = [song_id for song_id, until_s in self._until_s.items() if until_s <= now_s]
        if not (free or others or self.pausing(now_s)) and self._until_s:
            free = [min(self._until_s, key=self._until_s.__getitem__)]
        for song_id in free:
            del self._until_s[song_id]
        return free
