"""The message `music`: what plays and where the next song is sought, in DEAM units (valence and arousal -1..1)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from emomusic_edge.contracts import ChoiceReason, GuideStatus, Segment, StateSnapshot, ValenceArousal

from .base import Message, NotNegative, Share, Text, WallTime

_BEYOND = "on the music's scale (DEAM's, -1 to 1; a strong feeling may lie beyond)."


class SongReading(Message):
    """The song that plays, or stands still while paused."""

    song_id: Annotated[Text, Field(description="Unique within the music index.")]
    title: Annotated[Text, Field(description="What to show a person.")]
    valence: Annotated[
        float, Field(ge=-1.0, le=1.0, description="Valence that the chosen part was annotated with (DEAM's scale).")
    ]
    arousal: Annotated[
        float, Field(ge=-1.0, le=1.0, description="Arousal that the chosen part was annotated with (DEAM's scale).")
    ]
    start_s: Annotated[NotNegative, Field(description="Where the chosen part begins within the file, in seconds.")]
    end_s: Annotated[NotNegative, Field(description="Where it ends, in seconds; the song plays on after it.")]
    position_s: Annotated[NotNegative, Field(description="Where in the file the music was at `at`, in seconds.")]
    gain_db: Annotated[
        float,
        Field(description="Decibels added so that all songs sound equally loud; 0 where the loudness is not known."),
    ]
    because: Annotated[
        ChoiceReason | None,
        Field(
            description="Why this song: `start` nothing played before, `ended` the last one was over, `skip` somebody "
            "skipped it, `nearer` this one fits the feeling better, `failed` the last one could not be played, `group` "
            "the group of rooms plays it; null where that is not known."
        ),
    ]


class TargetReading(Message):
    """A point where music is sought, in DEAM units; an extreme feeling may lie beyond -1..1."""

    valence: Annotated[float, Field(description=f"Valence {_BEYOND}")]
    arousal: Annotated[float, Field(description=f"Arousal {_BEYOND}")]


class PathReading(Message):
    """How far the mode `guide` has come."""

    points: Annotated[
        tuple[TargetReading, ...],
        Field(description="The first song's place, those walked, and those planned up to the goal."),
    ]
    at: Annotated[int, Field(ge=0, description="Which of the `points` the music has reached, counted from 0.")]
    waits: Annotated[
        Literal["uncertain", "unreachable", "shorter"] | None,
        Field(
            description="Why the last step was none or no whole one: `uncertain` nobody can be seen to follow, "
            "`unreachable` no music is near the next point, `shorter` it was a smaller one; null when all is well."
        ),
    ]


class MusicMessage(Message):
    """What plays. The song follows the feeling, so it is kept as little as the feeling is."""

    at: WallTime
    song: Annotated[SongReading | None, Field(description="What plays; null when nothing does.")]
    target: Annotated[
        TargetReading | None, Field(description="Where the next song is sought; null when none is sought.")
    ]
    path: Annotated[
        PathReading | None,
        Field(description="How far mode `guide` has come; null in other modes and before its first song."),
    ]
    paused: Annotated[bool, Field(description="Whether the music stands still.")]
    muted: Annotated[bool, Field(description="True when no sound leaves the machine, whatever the volume.")]
    volume: Annotated[Share, Field(description="How loud, from silent to full.")]


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
        song=None if playback.segment is None else _song(playback.segment, snapshot),
        target=None if snapshot.target is None else _target(snapshot.target),
        path=None if snapshot.path is None else _path(snapshot.path),
        paused=playback.paused,
        muted=playback.muted,
        volume=round(playback.volume, 3),
    )


def _song(segment: Segment, snapshot: StateSnapshot) -> SongReading:
    return SongReading(
        song_id=segment.song_id,
        title=segment.title or segment.song_id,
        valence=round(segment.valence, 3),
        arousal=round(segment.arousal, 3),
        start_s=round(segment.start_s, 2),
        end_s=round(segment.end_s, 2),
        position_s=round(snapshot.playback.position_s, 2),
        gain_db=round(segment.gain_db, 2),
        # A choice that has not begun to play says nothing of the song that still does.
        because=snapshot.chosen_because if snapshot.chosen == segment else None,
    )


def _target(point: ValenceArousal) -> TargetReading:
    return TargetReading(valence=round(point.valence, 3), arousal=round(point.arousal, 3))


def _path(path: GuideStatus) -> PathReading:
    return PathReading.model_validate(
        {"points": tuple(_target(point) for point in path.points), "at": path.at, "waits": path.waits or None}
    )
