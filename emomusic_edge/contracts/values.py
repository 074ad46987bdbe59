"""The values that travel along the way of a frame: frozen, without behaviour.

Units: seconds of a monotonic clock (`_s`), milliseconds (`_ms`), pixels (`_px`); affect of people in FindingEmo units
(valence -3..3, arousal 0..6), affect of music in DEAM units (-1..1 each).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""uint8 [H, W, 3], blue-green-red as OpenCV reads it."""

Source: TypeAlias = Literal["scene", "face"]
"""Which model an estimate comes from."""


class ValenceArousal(NamedTuple):
    """A pair over the two axes of affect: a point, a variance or a weight; the field that holds it says the unit."""

    valence: float
    arousal: float


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture from a source.

    Attributes:
        seq: counts up from 0 in the order the source gave them; gaps are frames that were dropped.
        captured_at_s: when it was taken, on the clock that the loop runs on.
        image: uint8 [H, W, 3] BGR.
    """

    seq: int
    captured_at_s: float
    image: Image


@dataclass(frozen=True, slots=True)
class FaceBox:
    """An upright face box in pixels of the frame it was found in; it may reach beyond the picture's edge.

    Attributes:
        x_px, y_px: the upper left corner.
        width_px, height_px: the size, > 0.
        score: the detector's confidence, 0..1.
    """

    x_px: float
    y_px: float
    width_px: float
    height_px: float
    score: float


@dataclass(frozen=True, slots=True)
class AffectEstimate:
    """What one model says of one frame, in FindingEmo units.

    Attributes:
        source: the model's input, the whole scene or the face crop.
        mean: valence -3..3, arousal 0..6.
        variance: per axis, >= 0; unbiased over the samples, or in closed form.
        samples: how many Monte Carlo rows it rests on; 0 for a closed form.
        gate: the variance above which this model's bundle asks to hold; None leaves it to the config.
        age_s: how long ago the picture was taken that it is of, when it stands for a later one; 0 when it is of this
            frame. `variance` is what the model said then; fusion adds what the age makes of it.
    """

    source: Source
    mean: ValenceArousal
    variance: ValenceArousal
    samples: int
    gate: ValenceArousal | None = None
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FusedAffect:
    """The estimates of one frame made into one, in FindingEmo units.

    Attributes:
        mean: valence -3..3, arousal 0..6.
        variance: per axis, > 0.
        weights: per source, the share (0..1, summing to 1 on each axis) it had in the mean.
        gate: the gates that the models' bundles state, fused as their variances are; None where none states one.
        fresh_variance: the variance without what the age of an estimate added to it: what a gate looks at, since it
            asks how sure the models were of what they saw. None where nothing aged, and `variance` is it.
    """

    mean: ValenceArousal
    variance: ValenceArousal
    weights: Mapping[Source, ValenceArousal]
    gate: ValenceArousal | None = None
    fresh_variance: ValenceArousal | None = None


@dataclass(frozen=True, slots=True)
class StableAffect:
    """The steadied affect, in FindingEmo units.

    Attributes:
        mean: valence -3..3, arousal 0..6.
        variance: that of the last accepted estimate on each axis.
        held: per axis (valence, arousal), whether this frame was too uncertain to move it.
        age_s: seconds since the older of the two axes was last moved.
        stale: whether age_s is past the limit, so that the value should no longer be acted upon.
    """

    mean: ValenceArousal
    variance: ValenceArousal
    held: tuple[bool, bool]
    age_s: float
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A window of a song, with the affect it was annotated with (or made for), in DEAM units.

    Attributes:
        song_id: unique within an index.
        start_s, end_s: the window within the file, in seconds.
        valence, arousal: -1..1.
        path: the audio file.
        song_end_s: where the file's sound ends, in seconds; playback goes on to here, less the fade.
        title: what to show a person; the song id where nothing better is known.
        gain_db: what brings the song to the loudness of the others, constant over the song; 0 where that is not known.
    """

    song_id: str
    start_s: float
    end_s: float
    valence: float
    arousal: float
    path: Path
    song_end_s: float
    title: str = ""
    gain_db: float = 0.0


class Mode(str, Enum):
    """What the music does with the feeling."""

    MIRROR = "mirror"
    GUIDE = "guide"
    CALM = "calm"
    ENERGIZE = "energize"
    MANUAL = "manual"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class PlaybackStatus:
    """What the player is doing.

    Attributes:
        segment: what plays (or would, when muted); None when nothing does.
        position_s: where in the file; 0 when nothing plays.
        ended: whether the song has come to its end (less the fade), so that another may start.
        paused: whether playback stands still.
        muted: whether no sound leaves the machine: asked for, or no device answered.
        volume: 0..1.
        reason: why there is no sound though there should be; empty when all is well.
    """

    segment: Segment | None = None
    position_s: float = 0.0
    ended: bool = False
    paused: bool = False
    muted: bool = False
    volume: float = 1.0
    reason: str = ""


ChoiceReason: TypeAlias = Literal["start", "ended", "skip", "nearer", "failed", "group"]
"""Why a song was chosen: nothing played, the last one ended or was skipped, another fits the feeling better by more
than the margin, the last choice could not be played, or the group that the device is in plays it."""


PaceLimit: TypeAlias = Literal["none", "work", "cpu", "temperature"]
"""What keeps the loop below the rate that was asked for."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the loop works, and why not faster.

    Attributes:
        frames_per_second: what it works at where the camera gives as many.
        scene_share: on which share (0..1) of the last 100 frames the scene model ran; on the others its last estimate
            stood. None before the first frame.
        limited_by: `none` when the rate is the one asked for; `work` when a frame takes longer than that allows; `cpu`
            or `temperature` when the budget of the config lowered it.
        temperature_c: of the hottest sensor at the last look, a few seconds ago at most; None where none answers.
    """

    frames_per_second: float
    scene_share: float | None = None
    limited_by: PaceLimit = "none"
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class GuideStatus:
    """How far the mode `guide` has come.

    Attributes:
        points: DEAM units; the first song's, those walked, and those planned up to the goal.
        at: the row of the one where the music is.
        waits: why the last step was none or no whole one: `uncertain` (the feeling is), `unreachable` (no music near
            the next point) or `shorter`; empty when all is well.
    """

    points: tuple[ValenceArousal, ...]
    at: int
    waits: str = ""


@dataclass(frozen=True, slots=True)
class StateSnapshot:
    """What is told after each step: to MQTT, the live view, the record and the summary.

    Attributes:
        seq: the frame's; that of the last one when no new frame came, -1 before the first.
        t_s: the frame's captured_at_s, or the time now when no new frame came.
        mode: the current mode.
        new_frame: whether it is about a new frame; False while none comes (the camera is closed, or fails).
        camera_on: False while paused or switched off.
        face: the primary face; None when none was found.
        face_count: how many faces were found.
        estimates: one for each model that ran, or whose last estimate stands (its age_s is then above 0).
        fused: the estimates made one; None when no model ran.
        stable: the steadied affect; None before the first accepted frame.
        mood: the label of the stable point (emomusic_edge.affect.mood_label); None without one.
        target: where music is sought, in DEAM units; None when nothing is sought.
        path: how far `guide` has come; None in other modes and before its first song.
        chosen: what the matcher last chose; None before the first choice.
        chosen_because: why; None without a choice.
        manual_mood: what mode `manual` plays to, FindingEmo units; None where nobody says.
        playback: what the player does.
        frames_per_second: over the last seconds.
        latency_ms: from the picture's capture to the end of the step.
        stage_ms: the time each stage of the step took.
        pace: how fast the loop works; None where nobody looks.
        reasons: what is wrong at the moment, keyed by part ("camera", "audio", "likes", "broker", "index", "command",
            "models", "pace", "memory").
    """

    seq: int
    t_s: float
    mode: Mode
    new_frame: bool = True
    camera_on: bool = True
    face: FaceBox | None = None
    face_count: int = 0
    estimates: tuple[AffectEstimate, ...] = ()
    fused: FusedAffect | None = None
    stable: StableAffect | None = None
    mood: str | None = None
    target: ValenceArousal | None = None
    path: GuideStatus | None = None
    chosen: Segment | None = None
    chosen_because: ChoiceReason | None = None
    manual_mood: ValenceArousal | None = None
    playback: PlaybackStatus = field(default_factory=PlaybackStatus)
    frames_per_second: float = 0.0
    latency_ms: float = 0.0
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    pace: Pace | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
