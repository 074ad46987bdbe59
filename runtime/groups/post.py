"""A group's messages on their way: what is heard waits here for the loop, what is said goes out.

On the network thread nothing is done but reading a message, noting when it came, and answering the question for the
time, which must not wait for the loop.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from emomusic_edge.runtime.mqtt.line import Line, Outgoing, Received, Subscription
from emomusic_edge.runtime.mqtt.messages import Message, TopicRule
from emomusic_edge.runtime.seldom_log import SeldomLog

from .election import Claim, Said
from .following import Plan
from .messages import AnswerMessage, AskMessage, GroupSettings, LeaderMessage, PlanMessage, SkipMessage
from .topics import ANSWER, ASK, LEADER, PLAN, SKIP

_SELDOM = SeldomLog(logging.getLogger(__name__))

_ANSWER_IN_S = 5
_WAITING = 256
_MessageT = TypeVar("_MessageT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What came on the leader's topic; None where it was cleared."""

    claim: Claim | None


@dataclass(frozen=True, slots=True)
class Planned:
    """A leader's plan, with the run that tells it."""

    run: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Asked:
    """A run asked for the time, at `at_s` of the own clock; it was answered."""

    run: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A run answered `theirs_s` to what left at `sent_s`, and it came at `received_s` of the own clock."""

    run: str
    sent_s: float
    theirs_s: float
    received_s: float


@dataclass(frozen=True, slots=True)
class SkipAsked:
    """A node that follows asks for another song."""


News: TypeAlias = Claimed | Planned | Asked | Answered | SkipAsked


class Post:
    """What one run hears and says in its group."""

    def __init__(self, settings: GroupSettings, run: str, clock: Callable[[], float]) -> None:
        """Bind the parts; `line` is set at each connect."""
        self.line: Line | None = None
        self._settings = settings
        self._run = run
        self._clock = clock
        self._lock = threading.Lock()
        self._news: deque[News] = deque(maxlen=_WAITING)
        self._question = 0
        self._sent_s: dict[int, float] = {}

    def take(self) -> Sequence[News]:
        """What was heard since the last call, oldest first."""
        with self._lock:
            news = tuple(self._news)
            self._news.clear()
        return news

    def claim(self, said: Said) -> None:
        """Say a claim, or clear it."""
        self._say(LEADER, None if said.claim is None else LeaderMessage.of(said.claim))

    def plan(self, plan: Plan) -> bool:
        """Tell the plan of this run, which leads; whether it was handed over."""
        return self._say(PLAN, PlanMessage.of(self._run, plan))

    def ask(self, leader: str) -> None:
        """Ask the leading run for its clock."""
        if self.line is None:
            return
        with self._lock:
            now_s = self._clock()
            self._sent_s = {number: at_s for number, at_s in self._sent_s.items() if now_s - at_s < _ANSWER_IN_S}
            self._question += 1
            self._sent_s[self._question] = now_s
        self._say(ASK, AskMessage(run=self._run, question=self._question), leader)

    def skip(self, leader: str) -> bool:
        """Ask the leading run for another song; whether that was handed over."""
        return self._say(SKIP, SkipMessage(run=self._run), leader)

    def subscriptions(self) -> Sequence[Subscription]:
        """What to listen for."""
        return (
            self._listening(LEADER, self._hear_claim),
            # A plan that somebody had kept is heard of, to clear it.
            self._listening(PLAN, self._hear_plan),
            self._listening(ASK, self._hear_question, kept=False),
            self._listening(ANSWER, self._hear_answer, kept=False),
            self._listening(SKIP, self._hear_skip, kept=False),
        )

    def _topic(self, rule: TopicRule, run: str) -> str:
        return self._settings.topic(rule.name.replace("<run>", run))

    def _say(self, rule: TopicRule, message: Message | None, run: str = "") -> bool:
        """Hand a message over, to `run` where the topic names one; None clears what is kept."""
        payload, expires_s = ("", None) if message is None else (message.payload(), rule.expiry_s)
        said = Outgoing(self._topic(rule, run), payload, rule.qos, retained=rule.retained, expires_s=expires_s)
        return self.line is not None and self.line.send(said)

    def _listening(self, rule: TopicRule, heard: Callable[[Received], None], *, kept: bool = True) -> Subscription:
        return Subscription(self._topic(rule, self._run), heard, rule.qos, kept=kept)

    # From here on, the network thread.

    def _hear_claim(self, received: Received) -> None:
        message = _parsed(LeaderMessage, received) if received.payload else None
        if message is not None or not received.payload:
            self._note(Claimed(None if message is None else message.claim))

    def _hear_plan(self, received: Received) -> None:
        if received.retained:
            # Somebody had it kept, against the rule: a feeling can be read from it. It is cleared, never followed.
            if received.payload and self.line is not None:
                self.line.send(Outgoing(received.topic, b"", 1, retained=True))
            return
        message = _parsed(PlanMessage, received)
        if message is not None:
            self._note(Planned(message.run, message.plan))

    def _hear_question(self, received: Received) -> None:
        message, clock_s = _parsed(AskMessage, received), self._clock()
        if message is None or self.line is None:
            return
        self._say(ANSWER, AnswerMessage(run=self._run, question=message.question, clock_s=clock_s), message.run)
        self._note(Asked(message.run, clock_s))

    def _hear_answer(self, received: Received) -> None:
        clock_s, message = self._clock(), _parsed(AnswerMessage, received)
        if message is None:
            return
        with self._lock:
            sent_s = self._sent_s.pop(message.question, None)
        if sent_s is not None:
            self._note(Answered(message.run, sent_s, message.clock_s, clock_s))

    def _hear_skip(self, received: Received) -> None:
        if _parsed(SkipMessage, received) is not None:
            self._note(SkipAsked())

    def _note(self, news: News) -> None:
        with self._lock:
            self._news.append(news)


def _parsed(model: type[_MessageT], received: Received) -> _MessageT | None:
    """The message, or None where it is none: whoever may write there may write anything."""
    try:
        return model.model_validate_json(received.payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        _SELDOM.warning(model.__name__, f"{received.topic}: not what a node says ({first['msg']}); passed over")
        return None
