"""From a network in PyTorch to a bundle on disk: export, lower, judge, write; or nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import (
    GateRecord,
    Manifest,
    McDropout,
    Parity,
    SourceRecord,
    TrainingRecord,
)
from emomusic_edge.preprocess import prepare

from .bundle import FOR_PROCESSORS, WRITTEN_BY, check_target, write_bundle
from .gates.builder import builder_gate
from .gates.contract import contract_gate
from .gates.distribution import distribution_gate
from .gates.parity import BOUND as PARITY_BOUND
from .gates.parity import parity_gate, record_answers, record_own_answers, seeded_masks
from .gates.precision import precision_gate
from .gates.preprocessing import preprocessing_gate
from .network.masked import MaskedRegressor, Normalisation
from .network.to_onnx import OPSET, onnx_from_network, quiet_exporter
from .pictures import LIGHTS, PictureSets, at_camera_sizes, in_any_light, in_changing_light
from .precision.lower import WAYS, Lowered, Lowering, Precision, lowered
from .report import ExportReport, Steps, failed, peak_memory_mb
from .training_transform import Transform, image_rule

Source = Literal["scene", "face"]
Gate = Literal["contract", "parity", "distribution", "preprocessing", "precision", "builder"]
ALL_GATES: tuple[Gate, ...] = ("contract", "parity", "distribution", "preprocessing", "precision", "builder")

# The seed's crop: 0.2 of the face box on each side.
FACE_MARGIN = 0.2


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What is to come out.

    Attributes:
        name, title, note: the bundle's.
        source: what the model looks at.
        architecture: for the manifest.
        image_px: height and width of `image`.
        dropout_p: of every dropout layer.
        samples: the bundle's default T, 1..128.
        normalisation: what the graph does to uint8 values.
        transform: how pictures were resized in training.
        activation: of a CLIP tower's MLPs; empty for others.
        precision: of the graph.
        weights: where the weights come from.
        notes: what was unwrapped or left out of the checkpoint.
        latency_only: random weights.
        force: write it although a gate failed.
        gates: which to run; the others are recorded as not run.
    """

    name: str
    title: str
    source: Source
    architecture: str
    image_px: int
    dropout_p: float
    normalisation: Normalisation
    transform: Transform
    weights: SourceRecord
    note: str = ""
    activation: str = ""
    samples: int = 64
    precision: Precision = "fp32"
    notes: tuple[str, ...] = ()
    latency_only: bool = False
    force: bool = False
    gates: tuple[Gate, ...] = ALL_GATES


def export_network(
    network: MaskedRegressor,
    plan: ExportPlan,
    pictures: PictureSets,
    target: Path,
    lowering: Lowering,
    steps: Steps,
) -> ExportReport:
    """Export a network, judge it and write the bundle.

    Args:
        network: with its weights, on the CPU.
        plan: what is to come out.
        pictures: real ones.
        target: the bundle's folder.
        lowering: what fp16 needs.
        steps: told as they go.

    Returns:
        The report.

    Raises:
        ModelError: a gate failed and `plan.force` is not set, the graph breaks the contract, or the folder cannot be
            written; what stood at `target` is untouched.
    """
    quiet_exporter()
    check_target(target)
    manifest = _manifest(network, plan)
    assert manifest.mc_dropout is not None
    with steps.step("export", f"Exporting {plan.architecture} to ONNX, opset {OPSET}"):
        graph = onnx_from_network(network, plan.image_px)
    with steps.step("gate contract", "Gate 1, contract: inputs, outputs, operators, masks"):
        gates = [contract_gate(graph, manifest)]
    source_model = graph.SerializeToString()
    held = [prepare(picture, manifest.image) for picture in pictures.held]
    masks = seeded_masks(plan.samples, network.mask_width, plan.dropout_p)
    samples = max(plan.samples, 2)
    if plan.precision != "int8":
        with steps.step("answers", "Recording PyTorch's answers to made pictures"):
            record = record_answers(network, plan.image_px, plan.dropout_p, samples)
    source_gates = _source_gates(network, source_model, manifest, plan, pictures, held, masks, steps)
    if plan.precision != "fp32":
        source_gates = [gate.model_copy(update={"told": f"the fp32 graph: {gate.told}"}) for gate in source_gates]
    gates += source_gates
    for_cpu: onnx.ModelProto | None = None
    if plan.precision != "fp32":
        low, gates[0], precision = _lowered(graph, manifest, plan, pictures, masks, lowering, steps)
        graph, for_cpu = low.graph, low.for_cpu
        gates += precision
    if plan.precision == "int8":
        with steps.step("answers", "Recording the int8 graph's own answers to made pictures"):
            content = graph.SerializeToString()
            record = record_own_answers(content, plan.image_px, network.mask_width, plan.dropout_p, samples)
    if "builder" in plan.gates:
        with steps.step("gate builder", "Gate 6, builder: TensorRT's parser and builder"):
            gates.append(builder_gate(graph.SerializeToString(), plan.name))
    manifest = manifest.model_copy(
        update={"gates": tuple(gates), "parity": _parity(gates, plan, len(held)), "forced": bool(failed(tuple(gates)))}
    )
    _refuse_failed(manifest, force=plan.force)
    with steps.step("write", f"Writing {target}"):
        manifest = write_bundle(target, graph, manifest, record, for_cpu)
    return ExportReport(target, manifest, pictures.told, dict(steps.seconds), peak_memory_mb())


def _source_gates(
    network: MaskedRegressor,
    model: bytes,
    manifest: Manifest,
    plan: ExportPlan,
    pictures: PictureSets,
    held: Sequence[NDArray[np.uint8]],
    masks: NDArray[np.float32],
    steps: Steps,
) -> list[GateRecord]:
    """Gates 2 to 4: the fp32 graph against its source."""
    gates = []
    if "parity" in plan.gates:
        with steps.step("gate parity", f"Gate 2, parity: PyTorch against ONNX Runtime on {len(held)} pictures"):
            gates.append(parity_gate(network, model, held, masks))
    if "distribution" in plan.gates:
        with steps.step("gate distribution", "Gate 3, distribution: 4,000 dropout passes against 4,000 mask rows"):
            gates.append(distribution_gate(network, model, held, plan.dropout_p))
    if "preprocessing" in plan.gates:
        with steps.step("gate preprocessing", f"Gate 4, preprocessing: against training's transform, {plan.transform}"):
            # Faces come in whatever size the camera saw them.
            sized = list(pictures.held) if plan.source == "face" else at_camera_sizes(pictures.held)
            gates.append(preprocessing_gate(model, manifest.image, plan.transform, sized, network.mask_width))
    return gates


def _lowered(
    source: onnx.ModelProto,
    manifest: Manifest,
    plan: ExportPlan,
    pictures: PictureSets,
    masks: NDArray[np.float32],
    lowering: Lowering,
    steps: Steps,
) -> tuple[Lowered, GateRecord, list[GateRecord]]:
    """The graph in a lower precision with its gates 1 and 5: by the first way that holds, else by the last."""
    assert plan.precision != "fp32"
    calibration = [prepare(picture, manifest.image) for picture in in_changing_light(pictures.calibration)]
    images = [prepare(picture, manifest.image) for picture in in_any_light(pictures.held)]
    source_model = source.SerializeToString()

    def judged(graph: onnx.ModelProto) -> GateRecord:
        assert plan.precision != "fp32"
        return precision_gate(source_model, graph.SerializeToString(), plan.precision, images, masks, len(LIGHTS))

    for way in WAYS[plan.precision]:
        with steps.step(f"lower {way}", f"Rewriting the graph in {plan.precision}, {way}"):
            low = lowered(source, way, calibration, lowering, steps.announce)
        with steps.step("gate contract", f"Gate 1 again, contract of the {plan.precision} graph"):
            contract = contract_gate(low.graph, manifest)
            if low.for_cpu is not None:
                contract_gate(low.for_cpu, manifest, for_cpu=True)
        if "precision" not in plan.gates:
            return low, contract, []
        with steps.step(
            "gate precision", f"Gate 5, precision: {plan.precision} against fp32 on {len(images)} pictures"
        ):
            gate = judged(low.graph)
        if gate.state == "passed":
            break
    gates = [gate.model_copy(update={"told": f"{gate.told}; {way}"})]
    if low.for_cpu is not None:
        with steps.step("gate precision cpu", "Gate 5 again, of the form for processors"):
            found = judged(low.for_cpu).model_copy(update={"name": f"precision{FOR_PROCESSORS}"})
        if found.state == "failed":
            # It is there to be faster, and nobody is worse off without it.
            found = found.model_copy(update={"state": "not run", "told": f"left out of the bundle: {found.told}"})
            low = Lowered(low.graph)
        gates.append(found)
    return low, contract, gates


def _manifest(network: MaskedRegressor, plan: ExportPlan) -> Manifest:
    return Manifest(
        name=plan.name,
        title=plan.title,
        note=plan.note,
        kind="mc_dropout",
        source=plan.source,
        latency_only=plan.latency_only,
        precision=plan.precision,
        files={"model.onnx": "0" * 64},
        opset=OPSET,
        image=image_rule(
            plan.transform,
            plan.image_px,
            plan.normalisation.words,
            FACE_MARGIN if plan.source == "face" else 0.0,
        ),
        output_units="findingemo",
        mc_dropout=McDropout(
            p=plan.dropout_p,
            mask_width=network.mask_width,
            layout=network.layout,
            default_samples=plan.samples,
        ),
        weights=plan.weights,
        training=TrainingRecord(
            architecture=plan.architecture,
            transform=plan.transform,
            activation=plan.activation,
            notes=plan.notes,
        ),
        created_at=datetime.now(timezone.utc).replace(microsecond=0),
        written_by=WRITTEN_BY,
    )


def _parity(gates: Sequence[GateRecord], plan: ExportPlan, pictures: int) -> Parity | None:
    """How far the graph itself is from PyTorch; a lowered one's distance is that of its gate 5, from fp32."""
    found = next((gate for gate in gates if gate.name == "parity"), None)
    if found is None or plan.precision != "fp32" or None in found.figures.values():
        return None
    return Parity(
        reference="PyTorch",
        pictures=pictures,
        max_abs_difference=max(value for value in found.figures.values() if value is not None),
        bound=PARITY_BOUND,
        unit="FindingEmo units",
    )


def _refuse_failed(manifest: Manifest, *, force: bool) -> None:
    over = failed(manifest.gates)
    if over and not force:
        told = "\n".join(f"  {gate.name}: {gate.told}" for gate in over)
        raise ModelError(
            f"Bundle {manifest.name} was not written, {len(over)} of its gates failed:\n{told}",
            mend="If you know why and want it all the same: --force (the manifest will say so).",
        )
