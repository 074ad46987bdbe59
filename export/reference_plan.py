"""The reference models' plan of export: both architectures with random weights, labelled so."""

from __future__ import annotations

from typing import Literal

from emomusic_edge.manifest import SourceRecord

from .network.masked import CLIP, IMAGENET, MaskedRegressor
from .network.reference import DROPOUT_P, IMAGE_PX, reference_regressor
from .pipeline import ExportPlan
from .precision.lower import Precision

Source = Literal["scene", "face"]


def reference_network(
    source: Source, *, precision: Precision = "fp32", samples: int = 64, force: bool = False
) -> tuple[MaskedRegressor, ExportPlan]:
    """A network for latency only, and what is to come out of it.

    Args:
        source: CLIP's ViT-B/32 for `scene`, ResNet-18 for `face`.
        precision: of the graph.
        samples: the default T.
        force: write it although a gate failed.
    """
    plan = reference_plan(source, precision=precision, samples=samples, force=force)
    return MaskedRegressor(reference_regressor(source), plan.normalisation), plan


def reference_plan(
    source: Source, *, precision: Precision = "fp32", samples: int = 64, force: bool = False
) -> ExportPlan:
    """What is to come out, as reference_network has it."""
    scene = source == "scene"
    return ExportPlan(
        name=f"{source}-reference" + ("" if precision == "fp32" else f"-{precision}"),
        title=f"{source} reference model ({precision})",
        note="Random weights, to measure speed by. Its answers mean nothing.",
        source=source,
        architecture="ViT-B/32" if scene else "ResNet-18",
        image_px=IMAGE_PX,
        dropout_p=DROPOUT_P,
        samples=samples,
        normalisation=CLIP if scene else IMAGENET,
        transform="clip" if scene else "opencv",
        activation="quick_gelu" if scene else "",
        precision=precision,
        weights=SourceRecord(name="random numbers", sha256=None, licence="Apache-2.0"),
        latency_only=True,
        force=force,
    )
