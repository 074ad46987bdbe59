"""Emotion to music on the device: what both sides (export and runtime) agree on.

The way of a frame, in `emomusic_edge.runtime`:

    FrameSource -> Frame -> FaceDetector -> FaceBox? -> AffectModel (scene, face) -> AffectEstimate each
    -> fuse() -> Stabilizer.update() -> StableAffect -> Matcher.choose() -> Segment -> Player
    -> StateSnapshot -> Publisher
"""

import os

# Wheels of ONNX Runtime from 1.29 on send telemetry by default on Linux; the switch is read at import, and every
# import of ours passes through this file first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
