"""A picture in, an affect estimate out: a model bundle, its preprocessing and its sampling behind one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import AffectEstimate, Image, InferenceEngine, Source, ValenceArousal
from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import Manifest, McDropout
from emomusic_edge.preprocess import prepare


class MaskBank:
    """Rows of dropout masks, bernoulli(1 - p) / (1 - p), float32 [T, K], from a seeded generator.

    `frozen`: one bank for the life of the process, so that the same frame always gives the same answer; `fresh`: new
    rows at each call.
    """

    def __init__(self, dropout: McDropout, *, samples: int, kind: Literal["frozen", "fresh"], seed: int) -> None:
        self._keep = 1.0 - dropout.p
        self._shape = (samples, dropout.mask_width)
        self._random = np.random.default_rng(seed)
        self._frozen = self._draw() if kind == "frozen" else None

    def rows(self) -> NDArray[np.float32]:
        """The masks for one frame; treat them as read-only."""
        return self._draw() if self._frozen is None else self._frozen

    def _draw(self) -> NDArray[np.float32]:
        kept = self._random.random(self._shape, dtype=np.float32) < self._keep
        return np.divide(kept, self._keep, dtype=np.float32)


class AffectPredictor:
    """Implements contracts.AffectModel for a bundle of kind `mc_dropout` or `closed_form`."""

    def __init__(
        self,
        engine: InferenceEngine,
        manifest: Manifest,
        *,
        samples: int | None = None,
        masks: Literal["frozen", "fresh"] = "frozen",
        seed: int = 0,
    ) -> None:
        """Bind an engine to its manifest.

        Args:
            engine: has the bundle's model loaded.
            manifest: the bundle's.
            samples: T, 1..128; None takes the bundle's default. Of no effect for a closed form.
            masks: see MaskBank.
            seed: of the masks' generator.

        Raises:
            ModelError: the bundle is a detector.
        """
        if manifest.source is None:
            raise ModelError(f"Model {manifest.name} is a {manifest.kind}, expected an affect model.")
        self._engine = engine
        self._manifest = manifest
        self._source: Source = manifest.source
        self._masks: MaskBank | None = None
        self._samples = 0
        if manifest.mc_dropout is not None:
            self._samples = samples or manifest.mc_dropout.default_samples
            self._masks = MaskBank(manifest.mc_dropout, samples=self._samples, kind=masks, seed=seed)
        gate = manifest.gate
        self._gate = None if gate is None else ValenceArousal(gate.valence, gate.arousal)

    @property
    def source(self) -> Source:
        """Whether it wants the whole scene or a face crop."""
        return self._source

    @property
    def provider(self) -> str:
        """What it truly runs on."""
        return self._engine.provider

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self._manifest

    def predict(self, image: Image) -> AffectEstimate:
        """The estimate for one picture.

        Args:
            image: the scene, or the face crop: uint8 [H, W, 3] BGR of any size.

        Returns:
            Mean and variance in FindingEmo units.

        Raises:
            ModelError: the engine failed, or gave values that are not finite or a negative variance.
        """
        inputs: dict[str, NDArray[np.generic]] = {"image": prepare(image, self._manifest.image)}
        if self._masks is not None:
            inputs["masks"] = self._masks.rows()
        outputs = self._engine.run(inputs)
        return AffectEstimate(
            source=self._source,
            mean=self._pair(outputs, "mean"),
            variance=self._pair(outputs, "variance"),
            samples=self._samples,
            gate=self._gate,
        )

    def _pair(self, outputs: Mapping[str, NDArray[np.generic]], name: str) -> ValenceArousal:
        values = np.asarray(outputs[name], dtype=np.float64).ravel() if name in outputs else np.empty(0)
        if values.shape != (2,) or not np.isfinite(values).all() or (name == "variance" and values.min() < 0):
            raise ModelError(
                f"Model {self._manifest.name} gave {name} = {values.tolist()}, expected two finite numbers"
                + (" >= 0." if name == "variance" else ".")
            )
        return ValenceArousal(float(values[0]), float(values[1]))
