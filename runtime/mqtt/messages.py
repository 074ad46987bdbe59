"""What is told over MQTT: one strict model for each topic, and the builders that make it from a snapshot.

Affect of people is in FindingEmo units (valence -3..3, arousal 0..6), affect of music in DEAM units (-1..1 each). The
builders are pure: the wall-clock time, which only messages carry, is an argument. docs/mqtt.md shows each of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from emomusic_edge.affect import FINDINGEMO, MOOD_LABELS
from emomusic_edge.contracts import GuideStatus, Mode, PaceLimit, Segment, Source, StateSnapshot, ValenceArousal


@dataclass(frozen=True, slots=True)
class TopicRule:
    """How one of the topics under `emomusic/<node>/` behaves.

    Attributes:
        name: the part after `emomusic/<node>/`.
        qos: 0 (told once, may be lost) or 1 (told until the broker has it).
        retained: whether the broker keeps the last message. Never for what a feeling can be read from: a retained
            message stays in plaintext in the broker's database.
    """

    name: str
    qos: Literal[0, 1]
    retained: bool


AVAILABILITY = TopicRule("availability", qos=1, retained=True)
HEALTH = TopicRule("health", qos=0, retained=False)
STATE = TopicRule("state", qos=0, retained=False)
# The song's affect and the target follow the feeling, so this is not retained either.
MUSIC = TopicRule("music", qos=0, retained=False)
COMMAND = TopicRule("cmd/<name>", qos=1, retained=False)
RESULT = TopicRule("cmd/<name>/result", qos=0, retained=False)
TOPICS = (AVAILABILITY, HEALTH, STATE, MUSIC, COMMAND, RESULT)

ONLINE = "online"
OFFLINE = "offline"


def _iso_utc(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


WallTime = Annotated[AwareDatetime, PlainSerializer(_iso_utc, return_type=str, when_used="json")]
"""Told as ISO 8601 in UTC with milliseconds: `2026-11-22T23:05:07.120Z`."""

Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class Message(BaseModel):
    """Base of all messages: unknown fields, wrong kinds and numbers that are not finite are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def payload(self) -> str:
        """The message as JSON."""
        return self.model_dump_json()


class AxisReading(Message):
    """One axis of the steadied affect.

    Attributes:
        value: in FindingEmo units; valence -3..3, arousal 0..6.
        normalised: the same on a scale from 0 to 1 over the axis.
        variance: in FindingEmo units squared; that of the last frame sure enough to move the value.
        sd: its square root, in FindingEmo units.
        held: whether the newest frame was too uncertain to move the value.
    """

    value: float
    normalised: Share
    variance: NotNegative
    sd: NotNegative
    held: bool


class ValenceReading(AxisReading):
    """The steadied valence, -3 (negative) .. 3 (positive)."""

    value: float = Field(ge=FINDINGEMO.low.valence, le=FINDINGEMO.high.valence)


class ArousalReading(AxisReading):
    """The steadied arousal, 0 (calm) .. 6 (excited)."""

    value: float = Field(ge=FINDINGEMO.low.arousal, le=FINDINGEMO.high.arousal)


class FaceReading(Message):
    """What the face detector found in the newest frame.

    Attributes:
        present: whether any face was found.
        count: how many.
        score: the detector's confidence in the one that is followed, 0..1; null without a face.
    """

    present: bool
    count: int = Field(ge=0)
    score: Share | None


class StateMessage(Message):
    """How people in the room seem to feel.

    Attributes:
        at: when it was made.
        mode: the current mode.
        camera_on: false while the camera is closed.
        mood: the label of the point (valence, arousal); null before the first accepted frame.
        valence, arousal: the steadied affect; null before the first accepted frame.
        stale: whether the value is too old to act upon.
        age_s: seconds since the older of the two axes last moved; null before the first accepted frame.
        face: what the detector found.
        sources: the models that had a say in the newest frame.
        frames_per_second: over the last seconds.
        latency_ms: from a picture's capture to the end of its step.
    """

    at: WallTime
    mode: Mode
    camera_on: bool
    mood: Literal[MOOD_LABELS] | None  # type: ignore[valid-type]
    valence: ValenceReading | None
    arousal: ArousalReading | None
    stale: bool
    age_s: NotNegative | None
    face: FaceReading
    sources: tuple[Source, ...]
    frames_per_second: NotNegative
    latency_ms: NotNegative


class SongReading(Message):
    """The song that plays, or stands still while paused.

    Attributes:
        song_id: unique within the music index.
        title: what to show a person.
        valence, arousal: of the segment that was chosen, in DEAM units, -1..1.
        start_s, end_s: the chosen segment within the file; the song plays on after it.
        position_s: where in the file it was at `at`.
    """

    song_id: Text
    title: Text
    valence: float = Field(ge=-1.0, le=1.0)
    arousal: float = Field(ge=-1.0, le=1.0)
    start_s: NotNegative
    end_s: NotNegative
    position_s: NotNegative


class TargetReading(Message):
    """The point where music is sought, in DEAM units; an extreme feeling may lie beyond -1..1."""

    valence: float
    arousal: float


class PathReading(Message):
    """How far the mode `guide` has come.

    Attributes:
        points: in DEAM units: the first song's, those walked, and those planned up to the goal.
        at: the place in `points` (from 0) where the music is.
        waits: why the last step was none or no whole one; null when all is well.
    """

    points: tuple[TargetReading, ...]
    at: int = Field(ge=0)
    waits: Literal["uncertain", "unreachable", "shorter"] | None


class MusicMessage(Message):
    """What plays.

    Attributes:
        at: when it was made.
        song: what plays; null when nothing does.
        target: where the next song is sought; null when none is sought.
        path: how far `guide` has come; null in other modes and before its first song.
        paused: whether the music stands still.
        muted: whether no sound leaves the machine.
        volume: 0..1.
    """

    at: WallTime
    song: SongReading | None
    target: TargetReading | None
    path: PathReading | None
    paused: bool
    muted: bool
    volume: Share


class PaceReading(Message):
    """How fast the device works, and why not faster; a limit is no fault.

    Attributes:
        frames_per_second: what it works at where the camera gives as many.
        scene_share: on which share of the last 100 frames the scene model ran; null before the first.
        limited_by: `none`, or what keeps the rate below the one of the config.
    """

    frames_per_second: NotNegative
    scene_share: Share | None
    limited_by: PaceLimit


class HealthMessage(Message):
    """How the device itself is.

    Attributes:
        at: when it was made.
        status: `ok`, or `degraded` when any part has a reason; the service goes on either way.
        reasons: by part (camera, audio, index, command, models, pace), one line of what is wrong.
        pace: how fast it works; null where nobody looks.
    """

    at: WallTime
    status: Literal["ok", "degraded"]
    reasons: dict[Text, Text]
    pace: PaceReading | None


class ResultMessage(Message):
    """The answer to a command.

    Attributes:
        at: when it was made.
        ok: whether the command was understood; it is then carried out in the next step.
        reason: why it was refused; empty when ok.
    """

    at: WallTime
    ok: bool
    reason: str


def _axis(value: float, variance: float, held: bool, low: float, high: float) -> dict[str, float | bool]:
    return {
        "value": round(value, 3),
        "normalised": round((value - low) / (high - low), 3),
        "variance": round(variance, 4),
        "sd": round(math.sqrt(variance), 3),
        "held": held,
    }


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
    )


def _song(segment: Segment, position_s: float) -> SongReading:
    return SongReading(
        song_id=segment.song_id,
        title=segment.title or segment.song_id,
        valence=round(segment.valence, 3),
        arousal=round(segment.arousal, 3),
        start_s=round(segment.start_s, 2),
        end_s=round(segment.end_s, 2),
        position_s=round(position_s, 2),
    )


def _target(point: ValenceArousal) -> TargetReading:
    return TargetReading(valence=round(point.valence, 3), arousal=round(point.arousal, 3))


def _path(path: GuideStatus) -> PathReading:
    return PathReading.model_validate(
        {"points": tuple(_target(point) for point in path.points), "at": path.at, "waits": path.waits or None}
    )


def music_message(snapshot: StateSnapshot, wall_time: datetime) -> MusicMessage:
    """The `music` of a step.

    Args:
        snapshot: what the step told.
        wall_time: when, with a time zone.

    Raises:
        ValueError: a number is not finite or out of the bounds of its field.
    """
    playback = snapshot.playback
    return MusicMessage(
        at=wall_time,
        song=None if playback.segment is None else _song(playback.segment, playback.position_s),
        target=None if snapshot.target is None else _target(snapshot.target),
        path=None if snapshot.path is None else _path(snapshot.path),
        paused=playback.paused,
        muted=playback.muted,
        volume=round(playback.volume, 3),
    )


def health_message(snapshot: StateSnapshot, wall_time: datetime) -> HealthMessage:
    """The `health` of a step, without the part `broker`: a message that arrives would belie it.

    Args:
        snapshot: what the step told.
        wall_time: when, with a time zone.
    """
    reasons = {part: reason for part, reason in sorted(snapshot.reasons.items()) if reason and part != "broker"}
    pace = snapshot.pace
    reading = None
    if pace is not None:
        share = None if pace.scene_share is None else round(pace.scene_share, 2)
        reading = PaceReading(
            frames_per_second=round(pace.frames_per_second, 2), scene_share=share, limited_by=pace.limited_by
        )
    return HealthMessage(at=wall_time, status="degraded" if reasons else "ok", reasons=reasons, pace=reading)
