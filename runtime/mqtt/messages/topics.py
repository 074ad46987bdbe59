"""The topics under `emomusic/<node>/`: which way each goes, what is kept, and the model of its payload.

Those of a group are told in the same terms: runtime/groups/topics.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .base import Message
from .claim import ClaimMessage
from .health import HealthMessage
from .music import MusicMessage
from .result import ResultMessage
from .state import StateMessage

ONLINE = "online"
OFFLINE = "offline"

EXPIRY_S = 30
"""How long a broker may hold back what a feeling can be read from for a listener that is away (MQTT 5)."""


@dataclass(frozen=True, slots=True)
class TopicRule:
    """How one of the topics behaves.

    Attributes:
        name: the part after the root.
        qos: 0 (told once, may be lost) or 1 (told until the broker has it).
        retained: whether the broker keeps the last message. Never for what a feeling can be read from: a retained
            message stays in plaintext in the broker's database.
        expiry_s: after how many seconds the broker throws away what it could not deliver; None for never. MQTT 3.1.1
            has no such thing.
        direction: `from` the device, `to` it, or `both`.
        when: when it is told, in a few words for a person.
        model: of the payload; None where it is plain text, or differs by command.
        root: what stands before the name; `<node>` and other names in angles stand for any.
    """

    name: str
    qos: Literal[0, 1]
    retained: bool
    expiry_s: int | None = None
    direction: Literal["from", "to", "both"] = "from"
    when: str = ""
    model: type[Message] | None = None
    root: str = "emomusic/<node>"

    @property
    def address(self) -> str:
        """The full topic, with names in angles for what differs."""
        return f"{self.root}/{self.name}"


AVAILABILITY = TopicRule(
    "availability",
    qos=1,
    retained=True,
    when=f"`{ONLINE}` on connecting, `{OFFLINE}` on leaving or 5 s after the line broke (last will)",
)
HEALTH = TopicRule(
    "health",
    qos=0,
    retained=False,
    expiry_s=EXPIRY_S,
    when="when something breaks or heals, or something else limits the pace",
    model=HealthMessage,
)
STATE = TopicRule(
    "state",
    qos=0,
    retained=False,
    expiry_s=EXPIRY_S,
    when="when the feeling, the face, the mode or the camera changes",
    model=StateMessage,
)
# The song's affect and the target follow the feeling, so this is not retained either.
MUSIC = TopicRule(
    "music",
    qos=0,
    retained=False,
    expiry_s=EXPIRY_S,
    when="when the song, pause, sound or volume changes",
    model=MusicMessage,
)
COMMAND = TopicRule("cmd/<name>", qos=1, retained=False, direction="to", when="when you want something")
# A broker drops QoS 0 at a listener that falls behind: an answer must not be lost.
RESULT = TopicRule(
    "cmd/<name>/result", qos=1, retained=False, when="as the answer to each command", model=ResultMessage
)
CLAIM = TopicRule(
    "claim",
    qos=1,
    retained=False,
    direction="both",
    when="on connecting, and when another run claims the same name",
    model=ClaimMessage,
)
TOPICS = (AVAILABILITY, STATE, MUSIC, HEALTH, COMMAND, RESULT, CLAIM)
