"""What all parts agree on: the values, the commands, and the seams (Protocols) between the parts. No I/O."""

from .commands import Command, Pause, Resume, SetCamera, SetMode, SetMood, SetVolume, Skip
from .seams import AffectModel, FaceDetector, FrameSource, InferenceEngine, Player, Publisher
from .values import (
    AffectEstimate,
    FaceBox,
    Frame,
    FusedAffect,
    Image,
    Mode,
    PlaybackStatus,
    Segment,
    Source,
    StableAffect,
    StateSnapshot,
    ValenceArousal,
)

__all__ = [
    "AffectEstimate",
    "AffectModel",
    "Command",
    "FaceBox",
    "FaceDetector",
    "Frame",
    "FrameSource",
    "FusedAffect",
    "Image",
    "InferenceEngine",
    "Mode",
    "Pause",
    "PlaybackStatus",
    "Player",
    "Publisher",
    "Resume",
    "Segment",
    "SetCamera",
    "SetMode",
    "SetMood",
    "SetVolume",
    "Skip",
    "Source",
    "StableAffect",
    "StateSnapshot",
    "ValenceArousal",
]
