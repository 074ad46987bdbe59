"""The message `state`: how people in the room seem to feel, in FindingEmo units (valence -3..3, arousal 0..6)."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from emomusic_edge.affect import FINDINGEMO, MOOD_LABELS
from emomusic_edge.contracts import Mode, Source, StateSnapshot, ValenceArousal

from .base import Message, NotNegative, Share, WallTime

_VALENCE = Field(
    ge=FINDINGEMO.low.valence,
    le=FINDINGEMO.high.valence,
    description="From negative to positive, on FindingEmo's scale.",
)
_AROUSAL = Field(
    ge=FINDINGEMO.low.arousal,
    le=FINDINGEMO.high.arousal,
    description="From calm to excited, on FindingEmo's scale.",
)


class AxisReading(Message):
    """One axis of the steadied affect, in FindingEmo units."""

    value: Annotated[float, Field(description="In FindingEmo units.")]
    normalised: Annotated[Share, Field(description="The same, from 0 to 1 over the scale.")]
    variance: Annotated[
        NotNegative,
        Field(description="How unsure the models were when the value last moved, in units of `value` squared."),
    ]
    sd: Annotated[NotNegative, Field(description="Its square root, in units of `value`; small is sure.")]
    held: Annotated[bool, Field(description="True: the newest picture was too uncertain to move this value.")]


class ValenceReading(AxisReading):
    """The steadied valence."""

    value: Annotated[float, _VALENCE]


class ArousalReading(AxisReading):
    """The steadied arousal."""

    value: Annotated[float, _AROUSAL]


class MoodReading(Message):
    """A mood that was set by hand, in FindingEmo units."""

    valence: Annotated[float, _VALENCE]
    arousal: Annotated[float, _AROUSAL]


class FaceReading(Message):
    """What the face detector found in the newest picture."""

    present: Annotated[bool, Field(description="Whether any face was found.")]
    count: Annotated[int, Field(ge=0, description="How many.")]
    score: Annotated[
        Share | None,
        Field(description="How sure the detector is of the one that is followed; null without a face."),
    ]


class StateMessage(Message):
    """How people in the room seem to feel. It is an estimate with an uncertainty, not a fact about a person."""

    at: WallTime
    mode: Annotated[Mode, Field(description="What the music does with the feeling.")]
    camera_on: Annotated[bool, Field(description="False while the camera is closed; the feeling then is an old one.")]
    mood: Annotated[
        Literal[MOOD_LABELS] | None,  # type: ignore[valid-type]
        Field(
            description="One word for the point of valence and arousal (Russell's circumplex, 1980); null before the "
            "first clear picture."
        ),
    ]
    valence: Annotated[
        ValenceReading | None,
        Field(description="How pleasant the feeling seems; null before the first clear picture."),
    ]
    arousal: Annotated[
        ArousalReading | None,
        Field(description="How excited the feeling seems; null before the first clear picture."),
    ]
    stale: Annotated[bool, Field(description="True: the estimate is too old to act upon.")]
    age_s: Annotated[
        NotNegative | None,
        Field(description="Seconds since the older of the two values last moved; null before the first clear picture."),
    ]
    face: Annotated[FaceReading, Field(description="What the face detector found in the newest picture.")]
    sources: Annotated[tuple[Source, ...], Field(description="The models that had a say; none is an empty list.")]
    frames_per_second: Annotated[NotNegative, Field(description="Pictures worked on, over the last seconds.")]
    latency_ms: Annotated[
        NotNegative, Field(description="Milliseconds from a picture's capture to the end of its work.")
    ]
    manual_mood: Annotated[
        MoodReading | None,
        Field(description="The mood that mode `manual` plays to; null where that is not known."),
    ]


def state_message(snapshot: StateSnapshot, wall_time: datetime) -> StateMessage:
    """The `state` of a step; an affect beyond FindingEmo's bounds is told as the bound.

    Args:
        snapshot: what the step told.
        wall_time: when, with a time zone.

    Raises:
        ValueError: a number is not finite, or a variance negative.
    """
    valence: ValenceReading | None = None
    arousal: ArousalReading | None = None
    stable = snapshot.stable
    if stable is not None:
        value = FINDINGEMO.clip(stable.mean)
        low, high = FINDINGEMO.low, FINDINGEMO.high
        valence = ValenceReading.model_validate(
            _axis(value.valence, stable.variance.valence, stable.held[0], low.valence, high.valence)
        )
        arousal = ArousalReading.model_validate(
            _axis(value.arousal, stable.variance.arousal, stable.held[1], low.arousal, high.arousal)
        )
    return StateMessage(
        at=wall_time,
        mode=snapshot.mode,
        camera_on=snapshot.camera_on,
        mood=snapshot.mood,
        valence=valence,
        arousal=arousal,
        stale=stable is not None and stable.stale,
        age_s=None if stable is None else round(stable.age_s, 2),
        face=FaceReading(
            present=snapshot.face is not None,
            count=snapshot.face_count,
            score=None if snapshot.face is None else round(snapshot.face.score, 3),
        ),
        sources=() if snapshot.fused is None else tuple(sorted(snapshot.fused.weights)),
        frames_per_second=round(snapshot.frames_per_second, 1),
        latency_ms=round(snapshot.latency_ms, 1),
        manual_mood=None if snapshot.manual_mood is None else _manual_mood(snapshot.manual_mood),
    )


def _axis(value: float, variance: float, held: bool, low: float, high: float) -> dict[str, float | bool]:
    return {
        "value": round(value, 3),
        "normalised": round((value - low) / (high - low), 3),
        "variance": round(variance, 4),
        "sd": round(math.sqrt(variance), 3),
        "held": held,
    }


def _manual_mood(point: ValenceArousal) -> MoodReading:
    within = FINDINGEMO.clip(point)
    return MoodReading(valence=round(within.valence, 3), arousal=round(within.arousal, 3))
