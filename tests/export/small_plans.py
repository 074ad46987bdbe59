"""What the small networks are exported as, in the tests of the export."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from small_networks import SMALL_PX, P, Small

from emomusic_edge.export.network.masked import CLIP
from emomusic_edge.export.pictures import PictureSets
from emomusic_edge.export.pipeline import ExportPlan, export_network
from emomusic_edge.export.precision.lower import Lowering
from emomusic_edge.export.report import ExportReport, Steps
from emomusic_edge.manifest import SourceRecord

PLAN = ExportPlan(
    name="small-scene",
    title="small scene model",
    source="scene",
    architecture="ViT-128x2/16",
    image_px=SMALL_PX,
    dropout_p=P,
    samples=20,
    normalisation=CLIP,
    transform="clip",
    activation="quick_gelu",
    weights=SourceRecord(name="scene_model.pth", sha256="0" * 64, licence="mine"),
    gates=("contract", "parity", "distribution", "preprocessing"),
)
QUICK = dataclasses.replace(PLAN, gates=("contract", "parity"))


def export(small: Small, pictures: PictureSets, target: Path, plan: ExportPlan = PLAN) -> ExportReport:
    return export_network(small.network, plan, pictures, target, Lowering(target.parent), Steps())
