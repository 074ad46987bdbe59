"""What the models say of one frame; one that fails is told, and the frame goes on without it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from emomusic_edge.contracts import AffectEstimate, AffectModel, FaceBox, FaceDetector, Frame, Image
from emomusic_edge.errors import ModelError
from emomusic_edge.preprocess import crop_face

from .faces.primary import PrimaryFace
from .scheduling import ScenePace
from .seldom_log import SeldomLog
from .timing import StageTimes

_log = logging.getLogger(__name__)

# Over so many frames the share is told on which the scene model looked anew: ten seconds at the default rate.
_SHARE_OF_FRAMES = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found on a frame.

    Attributes:
        face: the primary face; None when none was found.
        face_count: how many were found.
        estimates: scene and face, those there are.
    """

    face: FaceBox | None
    face_count: int
    estimates: tuple[AffectEstimate, ...]


class Perception:
    """Detector, face model and scene model, one after the other.

    Args:
        detector: finds faces.
        primary: chooses the one that counts.
        face_model: looks at its crop.
        face_margin: what the face model wants around the face box, in box sizes.
        scene_model: looks at the whole picture, when `scene_pace` says so.
        scene_pace: says whether the last estimate stands.
    """

    def __init__(
        self,
        detector: FaceDetector,
        primary: PrimaryFace,
        face_model: AffectModel,
        face_margin: float,
        scene_model: AffectModel,
        scene_pace: ScenePace,
    ) -> None:
        self._detector = detector
        self._primary = primary
        self._face_model = face_model
        self._face_margin = face_margin
        self._scene_model = scene_model
        self._scene_pace = scene_pace
        self._looks: deque[bool] = deque(maxlen=_SHARE_OF_FRAMES)
        self._reasons: dict[str, str] = {}
        self._seldom = SeldomLog(_log)

    @property
    def reason(self) -> str:
        """Which models fail at the moment, and why; empty when none does."""
        return "; ".join(reason for reason in self._reasons.values() if reason)

    @property
    def scene_share(self) -> float | None:
        """On which share of the last 100 frames the scene model ran; None before the first frame."""
        return sum(self._looks) / len(self._looks) if self._looks else None

    def look(self, frame: Frame, times: StageTimes) -> Seen:
        """Have the models look at a frame; the stages `detect`, `face` and `scene` are timed."""
        image = frame.image
        with times.stage("detect"):
            faces = self._faces(image)
            face = self._primary.choose(faces, width_px=image.shape[1], height_px=image.shape[0])
        with times.stage("face"):
            face_estimate = self._estimate_face(image, face)
        with times.stage("scene"):
            scene_estimate = self._estimate_scene(image, frame.captured_at_s)
        return Seen(face, len(faces), tuple(e for e in (scene_estimate, face_estimate) if e is not None))

    def forget(self) -> None:
        """Pictures are interrupted: no estimate outlives that."""
        self._scene_pace.forget()

    def _faces(self, image: Image) -> Sequence[FaceBox]:
        try:
            faces = self._detector.detect(image)
        except ModelError as error:
            self._note("detector", str(error))
            return ()
        self._note("detector", "")
        return faces

    def _estimate_face(self, image: Image, face: FaceBox | None) -> AffectEstimate | None:
        if face is None:
            return None
        crop = crop_face(image, face, self._face_margin)
        return None if crop is None else self._estimate(self._face_model, crop)

    def _estimate_scene(self, image: Image, now_s: float) -> AffectEstimate | None:
        standing = self._scene_pace.standing(image, now_s)
        self._looks.append(standing is None)
        if standing is not None:
            return standing
        estimate = self._estimate(self._scene_model, image)
        self._scene_pace.looked(estimate, now_s)
        return estimate

    def _estimate(self, model: AffectModel, image: Image) -> AffectEstimate | None:
        try:
            estimate = model.predict(image)
        except ModelError as error:
            self._note(model.source, str(error))
            return None
        self._note(model.source, "")
        return estimate

    def _note(self, part: str, reason: str) -> None:
        if reason and self._reasons.get(part) != reason:
            # A model may fail on every other frame.
            self._seldom.warning(part, reason)
        self._reasons[part] = reason
