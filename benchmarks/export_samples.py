"""Draws PyTorch's dropout samples beside the exported graph's, for docs/export.md: `make export-pictures`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emomusic_edge.export.gates.distribution import SAMPLES, model_samples
from emomusic_edge.export.gates.parity import seeded_masks
from emomusic_edge.export.network.to_onnx import onnx_from_network, quiet_exporter
from emomusic_edge.export.pictures import default_pictures
from emomusic_edge.export.reference_plan import reference_network
from emomusic_edge.export.session import cpu_session
from emomusic_edge.export.training_transform import image_rule
from emomusic_edge.paths import default_cache_dir
from emomusic_edge.preprocess import prepare

_TORCH, _ONNX = "#1f3b4d", "#e07a3f"


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/export-samples.png"))
    out: Path = parser.parse_args().out
    quiet_exporter()
    network, plan = reference_network("scene")
    rule = image_rule(plan.transform, plan.image_px, plan.normalisation.words)
    pictures = default_pictures("scene", default_cache_dir(), 0.2, print)
    images = [prepare(picture, rule) for picture in pictures.held]
    session = cpu_session(onnx_from_network(network, plan.image_px).SerializeToString())
    masks = seeded_masks(SAMPLES, network.mask_width, plan.dropout_p, seed=11)
    pairs = []
    for image in images:
        rows = session.run(["samples"], {"image": image, "masks": masks})[0].astype(np.float64)
        pairs.append((model_samples(network, image, 11), rows))
    few = masks[:128]
    with torch.no_grad():
        same = [network.as_trained(torch.from_numpy(image), torch.from_numpy(few))[2].numpy() for image in images]
    apart = [
        np.abs(expected - session.run(["samples"], {"image": image, "masks": few})[0])
        for expected, image in zip(same, images, strict=True)
    ]
    _draw(pairs, np.concatenate(apart), out)
    print(f"{out}: {len(images)} pictures, T = {SAMPLES}")


def _draw(pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]], apart: NDArray[np.float64], out: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11, 7.2), constrained_layout=True)
    for axis, name in enumerate(("valence", "arousal")):
        panel = axes[0, axis]
        one, other = pairs[0][0][:, axis], pairs[0][1][:, axis]
        bins = np.linspace(min(one.min(), other.min()), max(one.max(), other.max()), 50)
        panel.hist(other, bins, color=_ONNX, alpha=0.55, label=f"ONNX Runtime, {SAMPLES} mask rows")
        panel.hist(one, bins, color=_TORCH, histtype="step", linewidth=1.6, label=f"PyTorch, {SAMPLES} dropout passes")
        panel.set_title(f"{name} of one picture, sample by sample")
        panel.set_xlabel("FindingEmo units")
        panel.set_ylabel("samples")
        panel.set_ylim(0, panel.get_ylim()[1] * 1.2)
    axes[0, 0].legend(frameon=False, loc="upper left", fontsize=8)
    panel = axes[1, 0]
    for axis, (name, mark) in enumerate((("valence", "o"), ("arousal", "s"))):
        sds = np.array([(one[:, axis].std(ddof=1), other[:, axis].std(ddof=1)) for one, other in pairs])
        panel.plot(sds[:, 0], sds[:, 1], mark, color=(_TORCH, _ONNX)[axis], markersize=5, label=name)
    ends = np.array(panel.get_xlim())
    panel.plot(ends, ends, color="0.6", linewidth=0.8, zorder=0)
    panel.fill_between(ends, ends * 0.9**0.5, ends * 1.1**0.5, color="0.9", zorder=-1, label="variance within 10 %")
    panel.set_xlim(*ends)
    panel.set_title(f"standard deviation over T, {len(pairs)} pictures")
    panel.set_xlabel("PyTorch")
    panel.set_ylabel("ONNX Runtime")
    panel.legend(frameon=False, fontsize=8)
    panel = axes[1, 1]
    logs = np.log10(np.maximum(apart.ravel(), 1e-9))
    panel.hist(logs, 50, color=_ONNX, alpha=0.7)
    panel.axvline(-4, color=_TORCH, linewidth=1.6)
    panel.annotate("bound", (-4, panel.get_ylim()[1] * 0.9), (-4.15, panel.get_ylim()[1] * 0.9), ha="right")
    panel.annotate("equal to\nthe last bit", (-8.9, panel.get_ylim()[1] * 0.75), fontsize=8)
    panel.set_title("same mask rows: difference, sample by sample")
    panel.set_xlabel("log10 of FindingEmo units")
    panel.set_ylabel("samples")
    for panel in axes.ravel():
        panel.spines[["top", "right"]].set_visible(False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
