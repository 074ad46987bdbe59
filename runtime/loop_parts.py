"""What the loop is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from emomusic_edge.contracts import AffectModel, FaceDetector, Publisher, StateSnapshot

from .capture import FrameFeed
from .faces.primary import PrimaryFace
from .fusion import FusionRule
from .music import Music
from .privacy.paused_state import KeptWishes
from .scheduling import FramePacer, ScenePace
from .stabilizer import Stabilizer
from .timing import Timebase

Observer = Callable[[StateSnapshot], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """All of it, started; runtime/app/ builds it.

    Attributes:
        face_margin: what the face model wants around the face box, in box sizes.
        scene_pace: on which frames the scene model looks anew; on every one unless another is given.
        pacer: how often frames are worked on; at the rate that the loop is given unless another is given.
        wishes: whether the camera may be open; where it may not, the loop begins without.
        on_forget: what the command `forget` wipes beside what likes taught.
        lost_gpu: which models do not run on it any more; empty when it is well, or was never there.
        memory: what is wrong with the memory that the process holds, at a time; empty when nothing is.
    """

    feed: FrameFeed
    timebase: Timebase
    detector: FaceDetector
    primary: PrimaryFace
    face_model: AffectModel
    face_margin: float
    scene_model: AffectModel
    fusion: FusionRule
    stabilizer: Stabilizer
    music: Music
    publisher: Publisher
    observers: Sequence[Observer] = ()
    scene_pace: ScenePace = field(default_factory=ScenePace)
    pacer: FramePacer | None = None
    wishes: KeptWishes = field(default_factory=KeptWishes)
    on_forget: Callable[[], None] = lambda: None
    memory: Callable[[float], str] = lambda _: ""
    lost_gpu: Callable[[], str] = lambda: ""
