"""The models of a run, loaded: what they are, what they truly run on, and what every surface must say of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emomusic_edge.contracts import AffectModel, FaceDetector
from emomusic_edge.manifest import MODEL_NAME, Manifest

from .calibration import ModelHashes


@dataclass(frozen=True, slots=True)
class Models:
    """The loaded models.

    Attributes:
        detector: finds faces.
        face: the face model.
        face_manifest: its bundle's.
        scene: the scene model.
        scene_manifest: its bundle's.
        providers: what each began to run on, by `detector`, `face` and `scene`.
        detector_runs_on: what the detector runs on at the moment.
    """

    detector: FaceDetector
    face: AffectModel
    face_manifest: Manifest
    scene: AffectModel
    scene_manifest: Manifest
    providers: dict[str, str]
    detector_runs_on: Callable[[], str]

    @property
    def hashes(self) -> ModelHashes:
        """Of the two models that a feeling comes from."""
        return ModelHashes(self.face_manifest.files[MODEL_NAME], self.scene_manifest.files[MODEL_NAME])

    def now_on(self) -> dict[str, str]:
        """What each runs on at the moment: something else than in `providers` once its GPU is lost."""
        return {"detector": self.detector_runs_on(), "face": self.face.provider, "scene": self.scene.provider}

    def lost(self) -> str:
        """Which of them run on something else than they began with, for their GPU is lost; empty when none does."""
        now_on = self.now_on()
        names = {"scene": self.scene_manifest.name, "face": self.face_manifest.name, "detector": "the face detector"}
        moved = [name for part, name in names.items() if now_on[part] != self.providers[part]]
        if not moved:
            return ""
        run = "runs" if len(moved) == 1 else "run"
        return f"the GPU failed, {' and '.join(moved)} {run} on the CPU; restart the program to try the GPU again"

    @property
    def notice(self) -> str:
        """One line for every surface: which models are starters or have random weights; empty when none is."""
        told = []
        for manifest in (self.scene_manifest, self.face_manifest):
            if manifest.latency_only:
                told.append(f"{manifest.title}: random weights, its answers mean nothing")
            elif manifest.starter:
                told.append(manifest.title)
        return f"Runs on {' and '.join(told)}: an idea of the real thing, not it." if told else ""
