"""Examples for the documentation, made by the builders that the device uses, of made-up snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from emomusic_edge import __version__
from emomusic_edge.affect import mood_label
from emomusic_edge.contracts import (
    FaceBox,
    FusedAffect,
    GuideStatus,
    Mode,
    Pace,
    PlaybackStatus,
    Segment,
    StableAffect,
    StateSnapshot,
    ValenceArousal,
)
from emomusic_edge.runtime.groups.companion import SharedSong
from emomusic_edge.runtime.groups.election import Claim
from emomusic_edge.runtime.groups.following import Plan
from emomusic_edge.runtime.groups.messages import AnswerMessage, AskMessage, LeaderMessage, PlanMessage, SkipMessage
from emomusic_edge.runtime.groups.topics import ANSWER, ASK, LEADER, PLAN, SKIP
from emomusic_edge.runtime.mqtt.commands import CommandError, parse_command
from emomusic_edge.runtime.mqtt.messages import (
    CLAIM,
    HEALTH,
    MUSIC,
    RESULT,
    STATE,
    ClaimMessage,
    DeviceFacts,
    LineNow,
    Message,
    ModelFact,
    ResultMessage,
    health_message,
    music_message,
    state_message,
)

_AT = datetime(2026, 11, 22, 22, 5, 7, 120_000, tzinfo=timezone.utc)
_CPU = "CPUExecutionProvider"
_FACTS = DeviceFacts(
    version=__version__,
    camera="/dev/video0",
    models={
        "scene": ModelFact("scene-starter", _CPU),
        "face": ModelFact("face-starter", _CPU),
        "detector": ModelFact("blazeface-short", _CPU),
    },
)
_SONG = Segment(
    "starter-07", 0.0, 15.0, 0.31, -0.22, Path("starter-07.ogg"), 45.0, title="Evening window", gain_db=-1.8
)
_MEAN = ValenceArousal(1.42, 1.8)
_ONE = ValenceArousal(1.0, 1.0)
# In the median of the demo's clip, by the starter models.
_VARIANCE = ValenceArousal(0.8556, 1.2455)
_WATCHING = StateSnapshot(
    seq=610,
    t_s=61.0,
    mode=Mode.MIRROR,
    face=FaceBox(212, 96, 140, 140, 0.934),
    face_count=1,
    fused=FusedAffect(_MEAN, _VARIANCE, {"face": _ONE, "scene": _ONE}),
    stable=StableAffect(_MEAN, _VARIANCE, (False, False), 0.1),
    mood=mood_label(_MEAN),
    target=ValenceArousal(0.25, -0.06),
    chosen=_SONG,
    chosen_because="nearer",
    playback=PlaybackStatus(segment=_SONG, position_s=12.4, volume=0.6),
    frames_per_second=9.9,
    latency_ms=41.2,
    pace=Pace(10.0, 0.13, temperature_c=52.0),
)
_GUIDING = replace(
    _WATCHING,
    mode=Mode.GUIDE,
    target=ValenceArousal(0.3, 0.0),
    path=GuideStatus((ValenceArousal(-0.4, 0.2), ValenceArousal(-0.05, 0.1), ValenceArousal(0.3, 0.0)), 1),
)
_LEADING, _FOLLOWING = "5c01a2f3", "91b0c4d2"
_PLAN = Plan(ValenceArousal(0.21, -0.1), SharedSong("745", 20.0, 45.0, 8123.4, at_once=False))


@dataclass(frozen=True, slots=True)
class Sample:
    """One message, and what it shows.

    Attributes:
        caption: a sentence to stand above it, ending in a colon.
        message: as the device would send it.
    """

    caption: str
    message: Message


def samples() -> Mapping[str, tuple[Sample, ...]]:
    """At least one message for each topic that carries JSON, by its address."""
    later = _AT + timedelta(seconds=143)
    starting = StateSnapshot(seq=0, t_s=0.0, mode=Mode.MIRROR, frames_per_second=9.8, latency_ms=38.0)
    paused = replace(
        starting, camera_on=False, playback=PlaybackStatus(paused=True, volume=0.6), pace=Pace(10.0, temperature_c=49.5)
    )
    ailing = replace(
        _WATCHING,
        reasons={
            "camera": "/dev/video0 stopped giving pictures",
            "audio": "no audio device answers; playing muted",
        },
        pace=Pace(3.1, 0.34, "cpu", 71.5),
    )
    plain = replace(_FACTS, allow_plaintext=True, plaintext_leaves=True)
    return {
        STATE.address: (
            Sample("Somebody is seen:", state_message(_WATCHING, _AT)),
            Sample(
                "Before the first clear picture there is no feeling to tell, and none is invented:",
                state_message(starting, _AT - timedelta(seconds=60)),
            ),
        ),
        MUSIC.address: (
            Sample("A song plays:", music_message(_WATCHING, _AT)),
            Sample("In mode `guide`, `path` tells the way:", music_message(_GUIDING, _AT)),
            Sample("Nothing plays:", music_message(paused, _AT)),
        ),
        HEALTH.address: (
            Sample("All is well:", health_message(_WATCHING, _AT, _FACTS, LineNow(61.0))),
            Sample(
                "Two parts are broken, and the line is not encrypted:",
                health_message(ailing, later, plain, LineNow(204.0)),
            ),
        ),
        RESULT.address: (
            Sample("Taken:", ResultMessage(at=_AT, ok=True, reason="")),
            Sample("Refused:", ResultMessage(at=later, ok=False, reason=_refusal())),
        ),
        CLAIM.address: (Sample("One run:", ClaimMessage(run="5f0c19ae", uptime_s=61.0)),),
        LEADER.address: (Sample("The kitchen leads:", LeaderMessage.of(Claim(_LEADING, "kitchen", 3))),),
        PLAN.address: (
            Sample("It plays a song to the mood it sees:", PlanMessage.of(_LEADING, _PLAN)),
            Sample("It seeks nothing, as nobody is seen:", PlanMessage.of(_LEADING, Plan(None, None))),
        ),
        ASK.address: (Sample("On `ask/5c01a2f3`:", AskMessage(run=_FOLLOWING, question=7)),),
        ANSWER.address: (Sample("On `answer/91b0c4d2`:", AnswerMessage(run=_LEADING, question=7, clock_s=8120.13)),),
        SKIP.address: (Sample("On `skip/5c01a2f3`:", SkipMessage(run=_FOLLOWING)),),
    }


def _refusal() -> str:
    """What a volume of 7 is answered with."""
    try:
        parse_command("volume", b"7")
    except CommandError as error:
        return str(error)
    raise AssertionError("a volume of 7 was taken")
