"""A plausible snapshot for tests of what tells it, to be changed where a test needs it otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emomusic_edge.contracts import (
    AffectEstimate,
    FaceBox,
    Mode,
    PlaybackStatus,
    Segment,
    StableAffect,
    StateSnapshot,
    ValenceArousal,
)

SONG = Segment("slow-07", 5.0, 15.0, -0.22, -0.05, Path("slow-07.ogg"), 45.0, "Slow rain in A minor")


def snapshot(**changes: Any) -> StateSnapshot:
    values: dict[str, Any] = {
        "seq": 5,
        "t_s": 12.0,
        "mode": Mode.MIRROR,
        "face": FaceBox(10.0, 10.0, 40.0, 40.0, 0.9),
        "face_count": 1,
        "estimates": (AffectEstimate("face", ValenceArousal(-1.5, 3.5), ValenceArousal(0.25, 0.36), 0),),
        "stable": StableAffect(ValenceArousal(-1.42, 3.31), ValenceArousal(0.25, 0.36), (False, False), 0.1),
        "mood": "distress",
        "target": ValenceArousal(-0.2, 0.2),
        "playback": PlaybackStatus(segment=SONG, position_s=13.0, volume=0.8),
        "frames_per_second": 10.0,
        "latency_ms": 8.0,
        "stage_ms": {"detect": 4.1, "face": 0.9},
    }
    return StateSnapshot(**(values | changes))
