"""A picture in, an affect estimate out: a model bundle, its preprocessing and its sampling behind one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.affect import FINDINGEMO
from emomusic_edge.contracts import AffectEstimate, Image, InferenceEngine, Source, ValenceArousal
from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import Manifest, McDropout
from emomusic_edge.preprocess import prepare

# A network may overshoot its scale a little. One whose arithmetic overflows (half precision ends at 65,504) is far off,
# and the average that steadies the feeling would need half a minute to forget it.
_LOWEST = np.subtract(FINDINGEMO.low, np.subtract(FINDINGEMO.high, FINDINGEMO.low))
_HIGHEST = np.add(FINDINGEMO.high, np.subtract(FINDINGEMO.high, FINDINGEMO.low))


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
            ModelError: the engine failed, or gave what no estimate can be: values that are not finite, a mean further
                off the scale than the scale is wide, a negative variance, or none at all on both axes.
        """
        inputs: dict[str, NDArray[np.generic]] = {"image": prepare(image, self._manifest.image)}
        if self._masks is not None:
            inputs["masks"] = self._masks.rows()
        outputs = self._engine.run(inputs)
        mean, variance = self._pair(outputs, "mean"), self._pair(outputs, "variance")
        if (mean < _LOWEST).any() or (mean > _HIGHEST).any():
            raise self._nonsense("a mean far off the scale")
        if (variance < 0).any():
            raise self._nonsense("a negative variance")
        # One sample alone has none. Of several, and of a closed form, it would mean certainty, which no network has:
        # its dropout was lost, or all it computes is zero. On one axis alone rounding can do it; fusion has a floor.
        if self._samples != 1 and not variance.any():
            raise self._nonsense("no variance at all, so that nobody can tell how sure it is")
        return AffectEstimate(
            source=self._source,
            mean=ValenceArousal(*mean.tolist()),
            variance=ValenceArousal(*variance.tolist()),
            samples=self._samples,
            gate=self._gate,
        )

    def _pair(self, outputs: Mapping[str, NDArray[np.generic]], name: str) -> NDArray[np.float64]:
        found = outputs.get(name)
        if found is None or found.size != 2 or found.dtype.kind != "f":
            told = "nothing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise self._nonsense(f"{told} as {name}, expected two floats")
        if not np.isfinite(found).all():
            raise self._nonsense(f"a {name} that is not finite")
        return found.astype(np.float64).ravel()

    def _nonsense(self, what: str) -> ModelError:
        """Without the values: this is logged and told, and they may be of somebody's feeling."""
        return ModelError(f"Model {self._manifest.name} gave {what}; nothing is made of it")
