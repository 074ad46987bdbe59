"""What nodes of a group tell each other: topics and messages. A feeling can be read from none that is retained."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from emomusic_edge.config.mqtt import NODE_FORM, NODE_PATTERN
from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.errors import ConfigError
from emomusic_edge.runtime.mqtt.messages.base import Message

from .companion import SharedSong
from .election import MOST_TERMS, Claim
from .following import Plan, Play

Run = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$", description="One run of one node.")]
_Seconds = Annotated[float, Field(ge=0.0, le=1e9)]
_Name = Annotated[str, Field(min_length=1, max_length=500)]


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Which group a node is in.

    Attributes:
        name: the group's (config.mqtt.NODE_PATTERN).
        play: whether the leader's very songs are followed, or only its mood.

    Raises:
        ConfigError: the name does not fit into a topic.
    """

    name: str
    play: Play = "song"

    def __post_init__(self) -> None:
        if not re.fullmatch(NODE_PATTERN, self.name):
            raise ConfigError(
                f"group.name is {self.name!r}; expected {NODE_FORM}.",
                mend='Name the group by its rooms: group.name = "downstairs".',
            )

    def topic(self, *parts: str) -> str:
        """The full topic, e.g. `emomusic-group/downstairs/leader` for `leader`."""
        return "/".join(("emomusic-group", self.name, *parts))


class _GroupMessage(Message):
    """Unlike other messages these may hold more than is known: a newer node may speak in the same group."""

    model_config = ConfigDict(extra="ignore")


class ClaimMessage(_GroupMessage):
    """`leader`, retained: who leads."""

    run: Run
    node: _Name
    term: int = Field(ge=1, le=MOST_TERMS)

    @classmethod
    def of(cls, claim: Claim) -> ClaimMessage:
        """The message that tells a claim."""
        return cls(run=claim.run, node=claim.node, term=claim.term)

    @property
    def claim(self) -> Claim:
        """What it says."""
        return Claim(self.run, self.node, self.term)


class TargetMessage(_GroupMessage):
    """Where music is sought, in DEAM units; an extreme feeling may lie beyond -1..1."""

    valence: float = Field(ge=-10.0, le=10.0)
    arousal: float = Field(ge=-10.0, le=10.0)


class SongMessage(_GroupMessage):
    """A start of a song.

    Attributes:
        song_id, start_s, song_end_s: which window of which song; a node whose index has another does not play it.
        at_s: when `start_s` sounds, by the leader's monotonic clock.
        at_once: whether a person waits for it: the fade is short then.
    """

    song_id: _Name
    start_s: _Seconds
    song_end_s: _Seconds
    at_s: float = Field(ge=-1e9, le=1e9)
    at_once: bool


class PlanMessage(_GroupMessage):
    """`plan`, never retained: what the leader plays, and what it seeks."""

    run: Run
    target: TargetMessage | None
    song: SongMessage | None

    @classmethod
    def of(cls, run: str, plan: Plan) -> PlanMessage:
        """The message that tells a leader's plan."""
        target, song = plan.target, plan.song
        return cls(
            run=run,
            target=None if target is None else TargetMessage(valence=target.valence, arousal=target.arousal),
            song=None
            if song is None
            else SongMessage(
                song_id=song.song_id,
                start_s=song.start_s,
                song_end_s=song.song_end_s,
                at_s=song.at_s,
                at_once=song.at_once,
            ),
        )

    @property
    def plan(self) -> Plan:
        """What it says."""
        target, song = self.target, self.song
        return Plan(
            None if target is None else ValenceArousal(target.valence, target.arousal),
            None
            if song is None
            else SharedSong(song.song_id, song.start_s, song.song_end_s, song.at_s, at_once=song.at_once),
        )


class AskMessage(_GroupMessage):
    """`ask/<run>`: a question to that run for its clock."""

    run: Run
    question: int = Field(ge=0, lt=2**31)


class AnswerMessage(_GroupMessage):
    """`answer/<run>`: the answer to that run's question.

    Attributes:
        run: who answers.
        question: as asked.
        clock_s: the answering node's monotonic clock.
    """

    run: Run
    question: int = Field(ge=0, lt=2**31)
    clock_s: float = Field(ge=-1e9, le=1e9)


class SkipMessage(_GroupMessage):
    """`skip/<run>`: a person next to another node asks that run, which leads, for another song."""

    run: Run
