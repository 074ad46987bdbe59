"""Hold a bundle against its own record, without the checkpoint: hashes, contract, parity, sampling, builder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from emomusic_edge.artefacts import read_verified
from emomusic_edge.errors import MissingExtraError, ModelError
from emomusic_edge.manifest import CPU_MODEL_NAME, GateRecord, Manifest, read_bundle
from emomusic_edge.parity_bounds import PARITY_BOUNDS
from emomusic_edge.parity_record import PARITY_NAME, ParityRecord, parse_parity_record

from .bundle import FOR_PROCESSORS
from .gates.builder import builder_gate
from .gates.contract import contract_gate
from .gates.preprocessing import preprocessing_gate
from .gates.record import gate_record, largest
from .pictures import PictureSets, at_camera_sizes
from .session import cpu_session
from .starter.recorded_parity import measure_parity, read_reference

# FindingEmo units, max abs at fp32: gate 2's, held here without PyTorch.
PARITY_BOUND = 1e-4
MEND = "Name a bundle's folder, or one in the data folder's `models`; an altered one is exported again."


def verify_bundle(
    bundle: Path,
    *,
    pictures: PictureSets | None = None,
    with_builder: bool = True,
    announce: Callable[[str], None] = lambda _: None,
) -> tuple[Manifest, tuple[GateRecord, ...]]:
    """Run every gate that needs no checkpoint.

    Args:
        bundle: its folder.
        pictures: real ones to hold the preprocessing by; None leaves that gate out.
        with_builder: also have TensorRT parse and build it, where that is installed.
        announce: told one line before anything that takes time.

    Returns:
        The manifest, and what each gate found; a gate that failed is among them and raises nothing.

    Raises:
        ModelError: the bundle is missing, altered, or no bundle at all.
    """
    announce("Hashes: every file against the manifest")
    manifest, content = read_bundle(bundle, mend=MEND)
    gates = [GateRecord(name="hashes", state="passed", told=f"sha256 of {', '.join(sorted(manifest.files))}")]
    announce("Contract: inputs, outputs, operators, masks")
    forms = {"": content}
    if CPU_MODEL_NAME in manifest.files:
        for_cpu = read_verified(bundle / CPU_MODEL_NAME, manifest.files[CPU_MODEL_NAME], ModelError, mend=MEND)
        forms[FOR_PROCESSORS] = for_cpu
    contracts = [_contract(graph, manifest, form) for form, graph in forms.items()]
    gates += contracts
    if any(contract.state == "failed" for contract in contracts):
        # Nothing else may parse or run what is not a bundle's graph.
        return manifest, tuple(gates)
    announce("Parity: ONNX Runtime, optimisation off and all, against the recorded answers")
    if PARITY_NAME in manifest.files:
        record = parse_parity_record(read_verified(bundle / PARITY_NAME, manifest.files[PARITY_NAME], ModelError))
        for form, graph in forms.items():
            gates += [_recorded_parity(graph, manifest, record, form), _sampling(graph, manifest, record, form)]
    elif manifest.parity is not None:
        gates.append(_starter_parity(content, manifest))
    else:
        gates.append(GateRecord(name="parity", state="not run", told="no answers of its source are recorded"))
    if manifest.training is not None and manifest.mc_dropout is not None:
        announce("Preprocessing: the device's resize and crop against training's transform")
        gates.append(_preprocessing(content, manifest, pictures))
    if with_builder:
        announce("Builder: TensorRT's parser and builder")
        gates.append(builder_gate(content, manifest.name))
    return manifest, tuple(gates)


def _contract(content: bytes, manifest: Manifest, form: str) -> GateRecord:
    name = f"contract{form}"
    try:
        found = contract_gate(onnx.load_model_from_string(content), manifest, for_cpu=bool(form))
    except ModelError as error:
        return GateRecord(name=name, state="failed", told=str(error))
    return found.model_copy(update={"name": name})


def _recorded_parity(content: bytes, manifest: Manifest, record: ParityRecord, form: str) -> GateRecord:
    """The graph's samples against those of its source."""
    assert manifest.mc_dropout is not None
    masks = record.masks(manifest.mc_dropout.p)
    ones = np.ones((1, record.mask_width), np.float32)
    differences: list[NDArray[np.float64]] = []
    for optimise in (False, True):
        session = cpu_session(content, optimise=optimise)
        images = record.images(manifest.image.height_px, manifest.image.width_px)
        for image, plain, sampled in zip(images, record.deterministic, record.samples, strict=True):
            for rows, expected in ((ones, [plain]), (masks, sampled)):
                (found,) = session.run(["samples"], {"image": image, "masks": rows})
                differences.append(np.asarray(found, np.float64) - np.asarray(expected, np.float64))
    apart = np.concatenate(differences)
    bound = PARITY_BOUNDS[manifest.precision]
    figures = {"max_abs": largest(apart), "mean_abs": float(np.abs(apart).mean())}
    if manifest.precision == "fp32":
        holds, told_bound = figures["max_abs"] <= PARITY_BOUND, f"{PARITY_BOUND:g} max abs"
    else:
        holds, told_bound = bound.holds(apart), str(bound)
    return gate_record(
        f"parity{form}",
        f"{figures['max_abs']:.1e} max abs, {figures['mean_abs']:.1e} mean abs from {record.reference} on "
        f"{record.pictures} made pictures, T = {len(record.kept)} (bound {told_bound})",
        figures,
        passed=holds,
    )


def _sampling(content: bytes, manifest: Manifest, record: ParityRecord, form: str) -> GateRecord:
    """Mean and variance are those of the samples, and the variance is alive."""
    assert manifest.mc_dropout is not None
    session = cpu_session(content)
    image = record.images(manifest.image.height_px, manifest.image.width_px)[0]
    apart, sds = [], []
    for rows in (record.masks(manifest.mc_dropout.p), record.masks(manifest.mc_dropout.p)[:2]):
        mean, variance, samples = session.run(["mean", "variance", "samples"], {"image": image, "masks": rows})
        expected = samples.astype(np.float64)
        apart += [mean - expected.mean(axis=0), variance - expected.var(axis=0, ddof=1)]
        sds.append(expected.std(axis=0, ddof=1))
    figures = {"moments_max_abs": largest(np.array(apart)), "least_sd": float(np.min(sds))}
    return gate_record(
        f"sampling{form}",
        f"mean and unbiased variance within {figures['moments_max_abs']:.1e} of the samples' own (bound "
        f"{PARITY_BOUND:g}), least standard deviation over T {figures['least_sd']:.3f}",
        figures,
        passed=figures["moments_max_abs"] <= PARITY_BOUND and figures["least_sd"] > 0,
    )


def _preprocessing(content: bytes, manifest: Manifest, pictures: PictureSets | None) -> GateRecord:
    assert manifest.training is not None
    assert manifest.mc_dropout is not None
    if pictures is None:
        return GateRecord(name="preprocessing", state="not run", told="no pictures here; --pictures FOLDER names some")
    try:
        return preprocessing_gate(
            content,
            manifest.image,
            manifest.training.transform,
            at_camera_sizes(pictures.held),
            manifest.mc_dropout.mask_width,
        )
    except MissingExtraError as error:
        return GateRecord(name="preprocessing", state="not run", told=f"{error} {error.mend}")


def _starter_parity(content: bytes, manifest: Manifest) -> GateRecord:
    try:
        reference = read_reference(manifest.name)
        found = measure_parity(
            manifest.name, onnx.load_model_from_string(content), reference.weights_sha256, str(manifest.parity)
        )
    except ModelError as error:
        return GateRecord(name="parity", state="failed", told=str(error))
    return GateRecord(
        name="parity",
        state="passed",
        told=f"{found.max_abs_difference:.1e} from {found.reference} on {found.pictures} made pictures "
        f"(bound {found.bound:g})",
        figures={"max_abs": found.max_abs_difference},
    )
