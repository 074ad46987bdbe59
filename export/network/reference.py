"""Reference models for latency only: the scene and face architectures with random weights that carry signals.

Plain random weights are useless to measure precision on: every picture gets nearly the same features, so that what a
head makes of the difference is noise. Here weights are random and yet behave as trained ones do where it matters:

- Linear layers preserve variance (sd = fan_in ** -0.5); queries and keys are ATTENTION_GAIN larger, so that attention
  is neither uniform nor a choice of one. Features of two photographs then have a mean cosine of 0.5, where CLIP's own
  initialisation leaves 0.9.
- BatchNorm holds the statistics of made pictures, as it holds those of the training set after training, and each
  ResNet block adds BRANCH_GAIN of what it computes to its shortcut. With 1, twenty random layers make of two faces
  much the same features and of rounding a twentieth of what is left (int8's rank correlation over faces 0.96 to 0.98;
  with 0.25, 0.99 and more).
- Heads read the directions in which the features of made pictures differ most, as training makes them do; a random
  direction would drown in dropout noise. The output layer is scaled so that answers spread as FindingEmo's annotations.

The pictures are noise with the spectrum of photographs (amplitude falling as 1 / frequency), made from the seed.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .clip_tower import ClipTower, ClipTowerSizes
from .masked import CLIP, IMAGENET, Normalisation
from .regressor import AXES, AffectRegressor, HeadShape
from .resnet import ResNetTrunk

Source = Literal["scene", "face"]

IMAGE_PX = 224
DROPOUT_P = 0.3
VIT_B_32 = ClipTowerSizes(image_px=IMAGE_PX, patch_px=32, width=768, layers=12, mlp_width=3072, projection=512)
RESNET_18 = (2, 2, 2, 2)
HEADS = {
    "scene": HeadShape(features=512, hidden=(256, 128), layer_norm=True),
    "face": HeadShape(features=512, hidden=(128,), layer_norm=False),
}

# FindingEmo's annotations: valence 0.39, sd 1.79; arousal 2.89, sd 1.63. Photographs spread by half to all of what the
# made pictures, which have these, do.
ANSWER_MEAN = (0.4, 2.9)
ANSWER_SD = 1.8

ATTENTION_GAIN = 1.5
BRANCH_GAIN = 0.25
_EMBEDDING_SD = 0.3
_DIRECTIONS_PER_HEAD = 2
_PICTURES = 64
_BATCH = 16
_PASSES = 32
_DROPOUT_SEED = 1


def reference_regressor(source: Source, seed: int = 0) -> AffectRegressor:
    """The full-size network of a source with random weights; its answers mean nothing.

    Args:
        source: `scene` for CLIP's ViT-B/32 with 1280 mask columns, `face` for ResNet-18 with 768; 224 px.
        seed: of weights and pictures; the same seed gives the same network on the same PyTorch.

    Returns:
        On the CPU, in eval mode.
    """
    if source == "scene":
        return reference_of_tower(ClipTower(VIT_B_32), HEADS[source], VIT_B_32.image_px, seed)
    return reference_of_resnet(ResNetTrunk(RESNET_18), HEADS[source], IMAGE_PX, seed)


def reference_of_tower(tower: ClipTower, head: HeadShape, image_px: int, seed: int = 0) -> AffectRegressor:
    """A CLIP tower of any size, filled and given heads."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, module in tower.named_modules():
            if isinstance(module, nn.Linear):
                gain = ATTENTION_GAIN if name.endswith(("q_proj", "k_proj")) else 1.0
                _fill_linear(module, gain, generator)
        embeddings = tower.vision_model.embeddings
        patch = embeddings.patch_embedding.weight
        patch.normal_(0.0, patch[0].numel() ** -0.5, generator=generator)
        embeddings.position_embedding.weight.normal_(0.0, _EMBEDDING_SD, generator=generator)
        embeddings.class_embedding.normal_(0.0, _EMBEDDING_SD, generator=generator)
    pictures = normalised(made_photographs(_PICTURES, image_px, seed), CLIP)
    return _with_heads(tower.eval(), head, pictures, generator)


def reference_of_resnet(trunk: ResNetTrunk, head: HeadShape, image_px: int, seed: int = 0) -> AffectRegressor:
    """A ResNet, filled and given heads."""
    generator = torch.Generator().manual_seed(seed)
    norms = {name: module for name, module in trunk.named_modules() if isinstance(module, nn.BatchNorm2d)}
    pictures = normalised(made_photographs(_PICTURES, image_px, seed), IMAGENET)
    with torch.no_grad():
        for module in trunk.modules():
            if isinstance(module, nn.Conv2d):
                # He et al. 2015: the ReLU halves the variance.
                fan_in = module.weight[0].numel()
                module.weight.normal_(0.0, (2.0 / fan_in) ** 0.5, generator=generator)
        for name, norm in norms.items():
            norm.weight.fill_(BRANCH_GAIN if name.endswith("bn2") else 1.0)
            norm.reset_running_stats()
            norm.momentum = None
        trunk.train()
        _in_batches(trunk, pictures)
        for norm in norms.values():
            norm.momentum = 0.1
    return _with_heads(trunk.eval(), head, pictures, generator)


def made_photographs(count: int, size_px: int, seed: int) -> NDArray[np.uint8]:
    """Noise with the spectrum, contrasts and tints of photographs.

    Returns:
        uint8 [count, size_px, size_px, 3].
    """
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None])
    frequency[0, 0] = np.inf
    pictures = []
    for _ in range(count):
        # Amplitude falls as 1 / f ** 1.2 on average, more steeply in calm scenes (Torralba and Oliva 2003).
        amplitude = frequency[..., None] ** -rng.uniform(0.8, 1.6)
        phases = rng.normal(size=(*frequency.shape, 3)) + 1j * rng.normal(size=(*frequency.shape, 3))
        waves = np.fft.irfft2(amplitude * phases, s=(size_px, size_px), axes=(0, 1))
        grey = waves.mean(axis=-1, keepdims=True)
        coloured = grey + rng.uniform(0.1, 0.8) * (waves - grey)
        tint = rng.uniform(5.0, 25.0) * rng.normal(size=3)
        levels = coloured / coloured.std() * rng.uniform(20.0, 75.0) + rng.uniform(80.0, 170.0) + tint
        pictures.append(np.clip(levels, 0.0, 255.0).astype(np.uint8))
    return np.stack(pictures)


def normalised(pictures: NDArray[np.uint8], normalisation: Normalisation) -> Tensor:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W], as the graph does it."""
    mean, sd = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (normalisation.mean, normalisation.sd))
    scaled: Tensor = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255.0 - mean) / sd
    return scaled


def _with_heads(trunk: nn.Module, shape: HeadShape, pictures: Tensor, generator: torch.Generator) -> AffectRegressor:
    regressor = AffectRegressor(trunk, dict.fromkeys(AXES, shape), DROPOUT_P)
    with torch.no_grad():
        features = _in_batches(trunk, pictures)
        directions = _main_directions(features, 2 * _DIRECTIONS_PER_HEAD)
        # Between reading the features as they are and whitened, which lifts the noise in the lesser directions.
        directions /= (features @ directions.T).std(dim=0).sqrt()[:, None]
        stronger, weaker = directions[0::2], directions[1::2]
        # One axis reads the sums, the other the differences: two answers, related but not the same.
        for axis, read in zip(AXES, (stronger + weaker, stronger - weaker), strict=True):
            _fill_head(getattr(regressor, f"{axis}_head"), features, read, generator)
        _scale_answers(regressor, features)
    return regressor


def _fill_head(head: nn.Sequential, features: Tensor, directions: Tensor, generator: torch.Generator) -> None:
    first, *middle, last = [module for module in head if isinstance(module, nn.Linear)]
    mixed = torch.randn(first.out_features, len(directions), generator=generator)
    first.weight.copy_(mixed @ directions)
    first.bias.copy_(-(first.weight @ features.mean(dim=0)))
    for linear in middle:
        _fill_linear(linear, 1.0, generator)
    last.weight.copy_(_main_directions(head[:-1](features), 1))
    last.bias.zero_()


def _scale_answers(regressor: AffectRegressor, features: Tensor) -> None:
    """Give the means over dropout samples the wanted mean and spread."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_DROPOUT_SEED)
        regressor.sampling()
        means = torch.stack([regressor.from_features(features) for _ in range(_PASSES)]).mean(dim=0)
        regressor.sampling(False)
    for place, axis in enumerate(AXES):
        last = getattr(regressor, f"{axis}_head")[-1]
        scale = ANSWER_SD / means[:, place].std()
        last.weight.mul_(scale)
        last.bias.copy_(ANSWER_MEAN[place] - scale * means[:, place].mean())


def _fill_linear(linear: nn.Linear, gain: float, generator: torch.Generator) -> None:
    linear.weight.normal_(0.0, gain * linear.in_features**-0.5, generator=generator)
    if linear.bias is not None:
        linear.bias.zero_()


def _main_directions(values: Tensor, count: int) -> Tensor:
    """Principal components of rows, as unit vectors [count, D]."""
    components: Tensor = torch.linalg.svd(values - values.mean(dim=0), full_matrices=False)[2]
    return components[:count]


def _in_batches(network: nn.Module, pictures: Tensor) -> Tensor:
    return torch.cat([network(pictures[start : start + _BATCH]) for start in range(0, len(pictures), _BATCH)])
