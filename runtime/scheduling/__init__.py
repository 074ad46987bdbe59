"""When the loop works: how often, within the machine's budget, and on which frames the scene model looks anew."""

from .ageing import added_variance
from .budget import Limits, Load, RateBudget
from .pacer import FramePacer, Machine
from .scene_change import ChangeRule, PictureDifference, difference, thumbnail
from .scene_pace import ScenePace

__all__ = [
    "ChangeRule",
    "FramePacer",
    "Limits",
    "Load",
    "Machine",
    "PictureDifference",
    "RateBudget",
    "ScenePace",
    "added_variance",
    "difference",
    "thumbnail",
]
