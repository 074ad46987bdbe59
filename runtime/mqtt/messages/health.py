"""The message `health`: how the device itself is. Nothing in it tells of a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from emomusic_edge.contracts import Pace, PaceLimit, StateSnapshot

from .base import Message, NotNegative, Share, Text, WallTime
from .facts import DeviceFacts

PLAINTEXT_NOTICE = "feelings cross the network unencrypted (mqtt.allow_plaintext)"


class WorkReading(Message):
    """How the work goes at the moment; `state` tells the same more often."""

    frames_per_second: Annotated[NotNegative, Field(description="Pictures worked on a second, over the last seconds.")]
    latency_ms: Annotated[
        NotNegative,
        Field(description="Milliseconds from the newest picture's capture to the end of its work, to the whole one."),
    ]


class PaceReading(Message):
    """How fast the device may work, and why not faster; a limit is no fault."""

    frames_per_second: Annotated[
        NotNegative, Field(description="Pictures a second it works on, where the camera gives as many.")
    ]
    scene_share: Annotated[
        Share | None,
        Field(
            description="On which share of the last 100 pictures the scene model ran; on the others its last answer "
            "stood. Null before the first picture."
        ),
    ]
    limited_by: Annotated[
        PaceLimit,
        Field(
            description="`none` as fast as the config asks, `work` the machine cannot go faster, `cpu` or "
            "`temperature` slowed to keep `loop.max_cpu_percent` or `loop.max_temperature_c`."
        ),
    ]


class ModelReading(Message):
    """One model in use."""

    name: Annotated[Text, Field(description="What the model's bundle is called.")]
    provider: Annotated[Text, Field(description="What runs it: the processor, or which accelerator.")]


class CameraReading(Message):
    """Where the pictures come from."""

    source: Annotated[Text | None, Field(description="The camera or file; null where it is not known.")]
    on: Annotated[bool, Field(description="False while it is closed.")]


class AudioReading(Message):
    """The sound; what is wrong with it stands among the reasons."""

    muted: Annotated[bool, Field(description="True when no sound leaves the machine: asked for, or no device answers.")]
    volume: Annotated[Share, Field(description="How loud, from silent to full.")]


class BrokerReading(Message):
    """The line that this message came over."""

    protocol: Annotated[Literal["5", "3.1.1"], Field(description="The version of MQTT.")]
    encrypted: Annotated[bool, Field(description="Whether the line is TLS.")]
    allow_plaintext: Annotated[
        bool, Field(description="Whether the owner allows an unencrypted line to another machine.")
    ]


class ThermalReading(Message):
    """How warm the device is."""

    temperature_c: Annotated[
        float | None, Field(description="Degrees Celsius of the hottest sensor; null where none answers.")
    ]


class HealthMessage(Message):
    """How the device itself is."""

    at: WallTime
    version: Annotated[Text | None, Field(description="Of this program; null where it is not known.")]
    uptime_s: Annotated[
        NotNegative | None, Field(description="Seconds that this run has lasted; null where it is not known.")
    ]
    status: Annotated[
        Literal["ok", "degraded"],
        Field(description="`degraded`: something is wrong, and the device goes on as well as it can."),
    ]
    reasons: Annotated[dict[Text, Text], Field(description="What is wrong, one line for each part.")]
    notices: Annotated[
        dict[Text, Text], Field(description="What is good to know though nothing is wrong, one line for each part.")
    ]
    camera: Annotated[CameraReading, Field(description="Where the pictures come from.")]
    models: Annotated[
        dict[Text, ModelReading], Field(description="The models in use, by part: `scene`, `face`, `detector`.")
    ]
    audio: Annotated[AudioReading, Field(description="The sound.")]
    broker: Annotated[
        BrokerReading | None, Field(description="The line that this message came over; null where it is not known.")
    ]
    thermal: Annotated[ThermalReading, Field(description="How warm the device is.")]
    work: Annotated[WorkReading, Field(description="How the work goes at the moment.")]
    pace: Annotated[PaceReading | None, Field(description="How fast it may work; null before that is known.")]


@dataclass(frozen=True, slots=True)
class LineNow:
    """What the line knows at the moment of telling.

    Attributes:
        uptime_s: seconds that this run has lasted.
        reason: what is wrong with the line though this message goes out on it; empty when all is well.
    """

    uptime_s: float
    reason: str = ""


def health_message(
    snapshot: StateSnapshot, wall_time: datetime, facts: DeviceFacts | None = None, line: LineNow | None = None
) -> HealthMessage:
    """The `health` of a step; its reason `broker` is the line's: a message that arrives would belie the snapshot's.

    Args:
        snapshot: what the step told.
        wall_time: when, with a time zone.
        facts: what stays true for the run; None where nobody gathered it.
        line: how long the run has lasted, and what is wrong with the line; None where nobody knows.

    Raises:
        ValueError: a number is not finite or out of the bounds of its field.
    """
    known = {**snapshot.reasons, "broker": "" if line is None else line.reason}
    reasons = {part: reason for part, reason in sorted(known.items()) if reason}
    pace = snapshot.pace
    temperature_c = None if pace is None or pace.temperature_c is None else round(pace.temperature_c, 1)
    return HealthMessage(
        at=wall_time,
        version=None if facts is None else facts.version,
        uptime_s=None if line is None else round(line.uptime_s, 1),
        status="degraded" if reasons else "ok",
        reasons=reasons,
        notices={"broker": PLAINTEXT_NOTICE} if facts is not None and facts.plaintext_leaves else {},
        camera=CameraReading(source=None if facts is None else facts.camera, on=snapshot.camera_on),
        models={} if facts is None else _models(facts),
        audio=AudioReading(muted=snapshot.playback.muted, volume=round(snapshot.playback.volume, 3)),
        broker=None if facts is None else _broker(facts),
        thermal=ThermalReading(temperature_c=temperature_c),
        work=WorkReading(
            frames_per_second=round(snapshot.frames_per_second, 1),
            latency_ms=round(snapshot.latency_ms, 0),
        ),
        pace=None if pace is None else _pace(pace),
    )


def _models(facts: DeviceFacts) -> dict[str, ModelReading]:
    return {part: ModelReading(name=model.name, provider=model.provider) for part, model in facts.models.items()}


def _broker(facts: DeviceFacts) -> BrokerReading:
    return BrokerReading(protocol=facts.protocol, encrypted=facts.encrypted, allow_plaintext=facts.allow_plaintext)


def _pace(pace: Pace) -> PaceReading:
    return PaceReading(
        frames_per_second=round(pace.frames_per_second, 2),
        scene_share=None if pace.scene_share is None else round(pace.scene_share, 2),
        limited_by=pace.limited_by,
    )
