"""One snapshot in which everything is told."""

from __future__ import annotations

from pathlib import Path

from emomusic_edge.contracts import (
    FaceBox,
    FusedAffect,
    Mode,
    PlaybackStatus,
    Segment,
    StableAffect,
    StateSnapshot,
    ValenceArousal,
)

SONG = Segment(
    "starter-07", 0.0, 15.0, 0.31, -0.22, Path("starter-07.ogg"), 45.0, title="Evening window", gain_db=-1.804
)
SNAPSHOT = StateSnapshot(
    seq=3,
    t_s=1.5,
    mode=Mode.MIRROR,
    face=FaceBox(10, 20, 80, 80, 0.934),
    face_count=2,
    fused=FusedAffect(
        ValenceArousal(1.3, 2.2),
        ValenceArousal(0.09, 0.16),
        {"scene": ValenceArousal(0.2, 0.2), "face": ValenceArousal(0.8, 0.8)},
    ),
    stable=StableAffect(ValenceArousal(1.5, 3.0), ValenceArousal(0.09, 0.16), (False, True), 0.4),
    mood="pleasure",
    target=ValenceArousal(0.25, 0.14),
    chosen=SONG,
    chosen_because="nearer",
    manual_mood=ValenceArousal(1.5, 2.0),
    playback=PlaybackStatus(segment=SONG, position_s=12.345, volume=0.6),
    frames_per_second=9.96,
    latency_ms=41.23,
)
