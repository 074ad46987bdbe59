"""What nodes of a group tell each other. A feeling can be read from none that is retained; the topics: topics.py."""

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

GROUP_ROOT = "emomusic-group"
Run = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$", description="The run that says it (hexadecimal).")]
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

    def topic(self, name: str) -> str:
        """The full topic, e.g. `emomusic-group/downstairs/leader` for `leader`."""
        return f"{GROUP_ROOT}/{self.name}/{name}"


class _GroupMessage(Message):
    """Unlike other messages these may hold more than is known: a newer node may speak in the same group."""

    model_config = ConfigDict(extra="ignore")


class LeaderMessage(_GroupMessage):
    """Who leads the group. Of two claims the higher term holds, of equal terms the higher run."""

    run: Run
    node: Annotated[_Name, Field(description="The name of its node, for people.")]
    term: Annotated[int, Field(ge=1, le=MOST_TERMS, description="Counts the leaders of the group.")]

    @classmethod
    def of(cls, claim: Claim) -> LeaderMessage:
        """The message that tells a claim."""
        return cls(run=claim.run, node=claim.node, term=claim.term)

    @property
    def claim(self) -> Claim:
        """What it says."""
        return Claim(self.run, self.node, self.term)


class TargetMessage(_GroupMessage):
    """Where music is sought, in DEAM units; an extreme feeling may lie beyond -1..1."""

    valence: Annotated[float, Field(ge=-10.0, le=10.0, description="From negative to positive.")]
    arousal: Annotated[float, Field(ge=-10.0, le=10.0, description="From calm to excited.")]


class SongMessage(_GroupMessage):
    """A start of a song: which window of which one, and when. A node whose index has another does not play it."""

    song_id: Annotated[_Name, Field(description="The song, as the music index calls it.")]
    start_s: Annotated[_Seconds, Field(description="Where in the song it begins.")]
    song_end_s: Annotated[_Seconds, Field(description="How long the song is.")]
    at_s: Annotated[
        float, Field(ge=-1e9, le=1e9, description="When `start_s` sounds, by the leader's monotonic clock.")
    ]
    at_once: Annotated[bool, Field(description="Whether a person waits for it: the fade is short then.")]


class PlanMessage(_GroupMessage):
    """What the leader seeks and plays."""

    run: Run
    target: Annotated[
        TargetMessage | None, Field(description="Where music is sought, in DEAM units; null while nothing is.")
    ]
    song: Annotated[SongMessage | None, Field(description="What plays, or is about to; null without a song.")]

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
    """A question to the run that the topic names: what does your clock say?"""

    run: Annotated[Run, Field(description="Who asks.")]
    question: Annotated[int, Field(ge=0, lt=2**31, description="Its number, which the answer carries.")]


class AnswerMessage(_GroupMessage):
    """The answer to the run that the topic names."""

    run: Annotated[Run, Field(description="Who answers.")]
    question: Annotated[int, Field(ge=0, lt=2**31, description="The number of the question.")]
    clock_s: Annotated[float, Field(ge=-1e9, le=1e9, description="The answering node's monotonic clock.")]


class SkipMessage(_GroupMessage):
    """A person at another node asks the run that the topic names, which leads, for another song."""

    run: Annotated[Run, Field(description="Who asks.")]
