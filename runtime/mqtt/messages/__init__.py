"""What is told over MQTT: one strict model for each topic, and the builders that make it from a snapshot.

Affect of people is in FindingEmo units (valence -3..3, arousal 0..6), affect of music in DEAM units (-1..1 each). The
builders are pure: the wall-clock time, which only messages carry, is an argument. docs/mqtt.md shows each of them.
"""

from .base import Message
from .claim import ClaimMessage
from .facts import DeviceFacts, ModelFact
from .health import PLAINTEXT_NOTICE, HealthMessage, LineNow, health_message
from .music import MusicMessage, music_message
from .result import ResultMessage
from .state import StateMessage, state_message
from .topics import (
    AVAILABILITY,
    CLAIM,
    COMMAND,
    EXPIRY_S,
    HEALTH,
    MUSIC,
    OFFLINE,
    ONLINE,
    RESULT,
    STATE,
    TOPICS,
    TopicRule,
)

__all__ = [
    "AVAILABILITY",
    "CLAIM",
    "COMMAND",
    "EXPIRY_S",
    "HEALTH",
    "MUSIC",
    "OFFLINE",
    "ONLINE",
    "PLAINTEXT_NOTICE",
    "RESULT",
    "STATE",
    "TOPICS",
    "ClaimMessage",
    "DeviceFacts",
    "HealthMessage",
    "LineNow",
    "Message",
    "ModelFact",
    "MusicMessage",
    "ResultMessage",
    "StateMessage",
    "TopicRule",
    "health_message",
    "music_message",
    "state_message",
]
