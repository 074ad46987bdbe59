"""One node's part in its group: speaks over the device's line (Extension), and advises its music (Companion)."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence

from emomusic_edge.contracts import Mode, PlaybackStatus, Segment, StateSnapshot, ValenceArousal
from emomusic_edge.runtime.mqtt.line import Line, Subscription

from .clock_offset import ClockOffset
from .companion import Advice, SharedSong
from .election import Claim, Election
from .following import Following, Plan
from .leading import Leading
from .messages import GroupSettings
from .post import Answered, Asked, Claimed, News, Planned, Post, SkipAsked

_log = logging.getLogger(__name__)

ASK_EVERY_S = 5.0
FIRST_QUESTIONS = 8
"""Asked one a step, so that the clocks are known within a second or so."""
_LINE_S = 5.0
"""A line that was not ready for so long is away: one goes alone."""
_NOTHING_S = 20.0
"""A node leads on for so long after it had something to seek."""


class Group:
    """Built once for a run; `Music` asks it as a Companion, the publisher drives it as an Extension.

    Both do so on the loop's thread; see Post for what happens on the network's.
    """

    def __init__(
        self,
        settings: GroupSettings,
        node: str,
        *,
        run: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take part.

        Args:
            settings: which group.
            node: this node's name, for people.
            run: 8 hex digits that no other run has; drawn where not given.
            clock: monotonic seconds, the loop's own.
        """
        self._settings = settings
        self._run = run or secrets.token_hex(4)
        self._clock = clock
        self._post = Post(settings, self._run, clock)
        self._election = Election(self._run, node)
        self._following = Following(settings.play)
        self._leading = Leading()
        self._offset = ClockOffset()
        self._leader: Claim | None = None
        self._linked_at_s = float("-inf")
        self._sought_at_s = float("-inf")
        self._asked_at_s = float("-inf")
        self._own: ValenceArousal | None = None
        self._stands_aside = True

    @property
    def leader(self) -> Claim | None:
        """Who leads, this node or another; None while nobody does."""
        return self._leader

    @property
    def leads(self) -> bool:
        """Whether this node leads."""
        return self._election.leads

    # Companion: in the midst of a step.

    def advise(self, own: ValenceArousal | None, mode: Mode, playback: PlaybackStatus, now_s: float) -> Advice:
        """See Companion.advise. A node that is paused, off or on a mood set by hand neither leads nor follows."""
        self._own = own
        self._stands_aside = playback.paused or mode in (Mode.OFF, Mode.MANUAL)
        if own is not None and not self._stands_aside:
            self._sought_at_s = now_s
        self._leading.plays(playback, now_s)
        if self._stands_aside or not self._follows(now_s):
            self._following.stand_aside()
            return Advice()
        return self._following.advise(playback, now_s, self._offset.best(self._clock()))

    def lacks(self, song: SharedSong) -> None:
        """See Companion.lacks."""
        _log.debug("the group's song %s is not in this node's index, or does not play: its mood is followed", song)
        self._following.refuse()

    def starts(self, segment: Segment, now_s: float, *, at_once: bool) -> float | None:
        """See Companion.starts. Where others follow, the song starts a moment later, with all of them."""
        clock_s, at_s = self._clock(), None
        if self._shares_songs and self._election.leads and self._linked(now_s):
            at_s = self._leading.start_for(clock_s)
        self._leading.started(segment, clock_s if at_s is None else at_s, at_once=at_once)
        return at_s

    def pass_on_skip(self, now_s: float) -> bool:
        """See Companion.pass_on_skip: the leader skips for all, where its song is what plays here."""
        leader = self._leader
        if leader is None or not self._follows(now_s) or not self._following.pass_on_skip(now_s):
            return False
        if self._post.skip(leader.run):
            return True
        self._following.refuse()
        return False

    def skip_due(self, now_s: float) -> bool:
        """See Companion.skip_due."""
        if self._leading.take_skip() and self._election.leads and not self._stands_aside:
            return True
        return self._following.skip_due(now_s)

    @property
    def _shares_songs(self) -> bool:
        return self._settings.play == "song"

    def _linked(self, now_s: float) -> bool:
        return now_s - self._linked_at_s < _LINE_S

    def _follows(self, now_s: float) -> bool:
        return self._leader is not None and not self._election.leads and self._linked(now_s)

    # Extension: at the end of a step.

    @property
    def reason(self) -> str:
        """See Extension.reason: a group that nobody leads is none."""
        return ""

    def subscriptions(self) -> Sequence[Subscription]:
        """See Extension.subscriptions."""
        return self._post.subscriptions()

    def before_online(self, line: Line) -> None:
        """See Extension.before_online."""
        self._post.line = line

    def step(self, snapshot: StateSnapshot, now_s: float, line: Line) -> bool:
        """See Extension.step."""
        self._linked_at_s = now_s
        for news in self._post.take():
            self._hear(news, now_s)
        fit = not self._stands_aside and now_s - self._sought_at_s < _NOTHING_S
        said = self._election.step(now_s, fit=fit)
        if said is not None:
            self._post.claim(said)
        self._meet(self._election.leader(now_s))
        if self._election.leads:
            self._tell_plan()
        elif self._leader is not None:
            self._ask(self._leader)
        return False

    def leaving(self, line: Line) -> None:
        """See Extension.leaving: another takes the lead at once."""
        said = self._election.resign()
        if said is not None:
            self._post.claim(said)

    def _hear(self, news: News, now_s: float) -> None:
        leader = self._leader
        match news:
            case Claimed(claim=claim):
                self._election.heard(claim, now_s)
                self._meet(self._election.leader(now_s))
            case Planned(run=run, plan=plan):
                self._follow(run, plan, now_s)
            case Asked(run=run, at_s=at_s):
                self._leading.asked(run, at_s)
            case Answered(run=run) if leader is not None and run == leader.run:
                self._offset.answered(news.sent_s, news.theirs_s, news.received_s)
            case SkipAsked():
                self._leading.wants_skip()

    def _follow(self, run: str, plan: Plan, now_s: float) -> None:
        if self._leader is not None and run == self._leader.run and not self._election.leads:
            self._following.heard(plan, now_s)

    def _meet(self, leader: Claim | None) -> None:
        before, self._leader = self._leader, leader
        if (None if before is None else before.run) == (None if leader is None else leader.run):
            return
        _log.debug("group %s: %s leads", self._settings.name, "nobody" if leader is None else leader.node)
        # Another leader has another clock.
        self._following.forget()
        self._offset = ClockOffset()
        self._leading.told(None, 0.0)

    def _tell_plan(self) -> None:
        clock_s = self._clock()
        plan = self._leading.plan(self._own, with_song=self._shares_songs)
        if self._leading.is_due(plan, clock_s) and self._post.plan(plan):
            self._leading.told(plan, clock_s)

    def _ask(self, leader: Claim) -> None:
        clock_s = self._clock()
        if self._offset.questions < FIRST_QUESTIONS or clock_s - self._asked_at_s >= ASK_EVERY_S:
            self._asked_at_s = clock_s
            self._post.ask(leader.run)
