"""The topics under `emomusic-group/<group>/`: how each behaves, and the model of its payload."""

from __future__ import annotations

from typing import Literal

from emomusic_edge.runtime.mqtt.messages import Message, TopicRule

from .election import EXPIRES_S, RENEW_S
from .leading import REPEAT_S
from .messages import GROUP_ROOT, AnswerMessage, AskMessage, LeaderMessage, PlanMessage, SkipMessage

_ROOT = f"{GROUP_ROOT}/<group>"
_ASK_EXPIRES_S = 5

LEADER = TopicRule(
    "leader",
    qos=1,
    retained=True,
    expiry_s=EXPIRES_S,
    direction="both",
    when=f"by the node that leads, anew every {RENEW_S:g} s; empty when it gives the lead up",
    model=LeaderMessage,
    root=_ROOT,
)
# The target follows what the leader's camera saw.
PLAN = TopicRule(
    "plan",
    qos=1,
    retained=False,
    expiry_s=30,
    direction="both",
    when=f"by the node that leads, when it changes and every {REPEAT_S:g} s",
    model=PlanMessage,
    root=_ROOT,
)


def _to_a_run(what: str, qos: Literal[0, 1], when: str, model: type[Message]) -> TopicRule:
    """A topic on which one run writes to one other."""
    return TopicRule(
        f"{what}/<run>",
        qos=qos,
        retained=False,
        expiry_s=_ASK_EXPIRES_S,
        direction="both",
        when=when,
        model=model,
        root=_ROOT,
    )


ASK = _to_a_run("ask", 0, "by a node that follows, to the run that leads", AskMessage)
ANSWER = _to_a_run("answer", 0, "by the node that leads, to the run that asked", AnswerMessage)
SKIP = _to_a_run("skip", 1, "by a node that follows, when somebody skips there, to the run that leads", SkipMessage)
GROUP_TOPICS = (LEADER, PLAN, ASK, ANSWER, SKIP)
