"""Who of a group leads: each hears the others' claims and says its own. No clock and no network.

One retained claim stands at the broker. A leader renews it; whoever has not heard it renewed for a while claims with
the next term. Of two claims the higher term holds, of equal terms the higher run id, and the other steps down. So there
may be two leaders for as long as a message takes, or while the network is in two parts, and no longer.
"""

from __future__ import annotations

from dataclasses import dataclass

EXPIRES_S = 15
"""How long the broker keeps a claim that is not renewed."""
RENEW_S = 4.0
LOST_S = 10.0
"""A leader that was not heard for so long is gone: two renewals may be lost on the way."""
SPREAD_S = 2.0
"""So far apart nodes claim that wait for the same moment; with LOST_S, a new leader is there before EXPIRES_S."""
LISTEN_S = 1.0
"""After connecting, before the first claim: a retained one comes right behind the subscription."""
MOST_TERMS = 2**31


@dataclass(frozen=True, slots=True)
class Claim:
    """A node's claim to lead.

    Attributes:
        run: the claiming run's id, 8 hex digits.
        node: its name, for people.
        term: counts the leaders of the group, 1..MOST_TERMS.
    """

    run: str
    node: str
    term: int

    def beats(self, other: Claim) -> bool:
        """Whether this one holds against another's."""
        return (self.term, self.run) > (other.term, other.run)


@dataclass(frozen=True, slots=True)
class Said:
    """What to say on the leader's topic: a claim, or None to clear it."""

    claim: Claim | None


class Election:
    """One node's part in it: told what is heard, asked again and again what to say."""

    def __init__(self, run: str, node: str) -> None:
        """Take part under a run id of 8 hex digits, which no other run has."""
        self._run, self._node = run, node
        self._spread_s = SPREAD_S * int(run, 16) / 16 ** len(run)
        self._term = 0
        self._mine: Claim | None = None
        self._said_at_s = 0.0
        self._theirs: Claim | None = None
        self._heard_at_s = 0.0
        self._stepped_at_s = float("-inf")
        self._claim_from_s = 0.0

    @property
    def leads(self) -> bool:
        """Whether this node leads."""
        return self._mine is not None

    def leader(self, now_s: float) -> Claim | None:
        """Who leads, as far as is known here; None while nobody does."""
        if self._mine is not None:
            return self._mine
        return None if self._lost(now_s) else self._theirs

    def heard(self, claim: Claim | None, now_s: float) -> None:
        """Told what came on the leader's topic: a claim, or None where it was cleared."""
        if claim is None:
            # A leader's own claim went with it: said again.
            self._said_at_s = float("-inf")
            self._theirs = None
            self._claim_from_s = now_s + self._spread_s
            return
        if claim.run == self._run:
            return
        self._term = max(self._term, claim.term)
        if self._mine is not None and not claim.beats(self._mine):
            self._said_at_s = float("-inf")
            return
        self._mine = None
        known = self._theirs
        if known is None or claim.run == known.run or claim.beats(known) or self._lost(now_s):
            self._theirs, self._heard_at_s = claim, now_s

    def step(self, now_s: float, *, fit: bool) -> Said | None:
        """What to say now, if anything; to be called often while there is a line to the broker, and only then.

        Args:
            now_s: monotonic seconds.
            fit: whether this node has something to lead with.
        """
        if now_s - self._stepped_at_s >= LOST_S:
            # The line was away: by now somebody else may lead, and it is told soon.
            self._mine = None
            self._claim_from_s = now_s + LISTEN_S + self._spread_s
        self._stepped_at_s = now_s
        if self._mine is not None:
            if not fit:
                return self.resign()
            return self._say(self._mine, now_s) if now_s - self._said_at_s >= RENEW_S else None
        if self._lost(now_s):
            self._theirs = None
        if self._theirs is not None or not fit or now_s < self._claim_from_s:
            return None
        self._term = min(MOST_TERMS, self._term + 1)
        self._mine = Claim(self._run, self._node, self._term)
        return self._say(self._mine, now_s)

    def resign(self) -> Said | None:
        """Give the lead up, if this node has it."""
        if self._mine is None:
            return None
        self._mine = None
        return Said(None)

    def _say(self, claim: Claim, now_s: float) -> Said:
        self._said_at_s = now_s
        return Said(claim)

    def _lost(self, now_s: float) -> bool:
        return self._theirs is not None and now_s - self._heard_at_s >= LOST_S + self._spread_s
