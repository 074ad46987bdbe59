"""On which frames the scene model looks anew, and what stands in for it on the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

from emomusic_edge.contracts import AffectEstimate, Image

from .scene_change import ChangeRule, Thumbnail, difference, thumbnail

MAX_AGE_S = 1.0
"""A change too small for the frame difference is seen within this."""

# A smaller graph costs no more than the check, a tenth of a millisecond or two: the starter scene model has a kilobyte,
# the reference model 90 megabytes in int8. The file's size decides and no measured time, so that a clip gives the same
# run each time.
WORTHWHILE_MODEL_BYTES = 1 << 20

# Times of frames come as float fractions: 0.1 s may be told as 0.0999999.
_SLACK_S = 1e-6


@dataclass(frozen=True, slots=True)
class _Standing:
    """An estimate, and the picture that it is of."""

    estimate: AffectEstimate
    picture: Thumbnail
    taken_at_s: float


class ScenePace:
    """Says of each frame whether the last estimate stands.

    It stands while the picture is the one that the model saw (slow drifts add up, since it is compared with that one
    and not with the last frame) and the estimate would not be older than `max_age_s` before the next frame comes, which
    is expected after the same time as this one. So with steady frames no estimate is older than `max_age_s`, and with
    any frames no two looks of the model lie further apart than `max_age_s` and the time between two frames.
    """

    def __init__(self, *, max_age_s: float = 0.0, rule: ChangeRule | None = None) -> None:
        """Set the bound.

        Args:
            max_age_s: 0..1; 0 has the model look at every frame, and nothing is compared.
            rule: what counts as a change.
        """
        self._max_age_s = max_age_s
        self._rule = rule or ChangeRule()
        self._standing: _Standing | None = None
        self._picture: Thumbnail | None = None
        self._last_s: float | None = None

    def standing(self, image: Image, now_s: float) -> AffectEstimate | None:
        """The estimate that stands for this frame, its age told; None when the model is to look at it.

        Args:
            image: the frame's, uint8 [H, W, 3].
            now_s: the frame's time.
        """
        if self._max_age_s <= 0.0:
            return None
        gap_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        self._picture = thumbnail(image)
        standing = self._standing
        if standing is None:
            return None
        age_s = now_s - standing.taken_at_s
        if age_s < 0.0 or gap_s < 0.0 or age_s + gap_s > self._max_age_s + _SLACK_S:
            return None
        if difference(standing.picture, self._picture).exceeds(self._rule):
            return None
        return replace(standing.estimate, age_s=age_s)

    def looked(self, estimate: AffectEstimate | None, now_s: float) -> None:
        """Told what the model said of the frame that was last asked about; None, a failure, forgets what stood."""
        if estimate is None or self._picture is None:
            self._standing = None
        else:
            self._standing = _Standing(estimate, self._picture, now_s)

    def forget(self) -> None:
        """The pictures are interrupted: the next frame is looked at."""
        self._standing = self._picture = self._last_s = None
