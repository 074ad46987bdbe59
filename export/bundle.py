"""Writes a bundle: all of it, or nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from emomusic_edge import __version__
from emomusic_edge.artefacts import folder_written_whole, sha256_of
from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import CPU_MODEL_NAME, MANIFEST_NAME, MODEL_NAME, Manifest, read_manifest
from emomusic_edge.parity_record import PARITY_NAME, ParityRecord

from .gates.contract import check_contract

# Of the graphs that are put together here; PyTorch's exporter has its own.
OPSET = 17
# What ONNX Runtime 1.23, the last with wheels for Python 3.10, reads.
IR_VERSION = 9
WRITTEN_BY = f"emomusic-edge {__version__}"
# What a gate of `model.cpu.onnx` is called beyond the name of the gate.
FOR_PROCESSORS = " of the form for processors"


def write_bundle(
    target: Path,
    model: onnx.ModelProto,
    manifest: Manifest,
    parity: ParityRecord | None = None,
    for_cpu: onnx.ModelProto | None = None,
) -> Manifest:
    """Write a bundle's files; whatever happens, the old bundle or the new one stands.

    Args:
        target: the bundle's folder.
        model: the graph.
        manifest: all but the hashes of the files, which are filled in.
        parity: what its source answered, of a model that samples.
        for_cpu: the same model written for processors.

    Returns:
        The manifest as written.

    Raises:
        ModelError: the graph breaks the contract, or the folder cannot be written.
    """
    check_contract(model, manifest)
    if for_cpu is not None:
        check_contract(for_cpu, manifest, for_cpu=True)
    check_target(target)
    try:
        with folder_written_whole(target) as scratch:
            (scratch / MODEL_NAME).write_bytes(model.SerializeToString(deterministic=True))
            if for_cpu is not None:
                (scratch / CPU_MODEL_NAME).write_bytes(for_cpu.SerializeToString(deterministic=True))
            if parity is not None:
                (scratch / PARITY_NAME).write_text(parity.model_dump_json() + "\n", encoding="utf-8")
            files = {file.name: sha256_of(file) for file in sorted(scratch.iterdir())}
            final = Manifest.model_validate(manifest.model_dump() | {"files": files})
            (scratch / MANIFEST_NAME).write_text(final.to_json(), encoding="utf-8")
    except OSError as cause:
        raise ModelError(
            f"Bundle {target} could not be written: {cause.strerror or cause}.",
            mend="free some space, or name another folder: EMOMUSIC_PATHS__DATA_DIR=/some/folder",
        ) from cause
    return final


def check_target(target: Path) -> None:
    """See before any work that a bundle may be written there; writing replaces the whole folder.

    Raises:
        ModelError: something else stands there, or the folder around it cannot be written.
    """
    if target.exists() and not _is_replaceable(target):
        raise ModelError(
            f"{target} is there and is no bundle, or holds more than one; writing would replace it whole.",
            mend="Name a folder that is not there yet, or one that holds a bundle and nothing else.",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as cause:
        raise ModelError(
            f"Nothing can be written to {target.parent}: {cause.strerror or cause}.", mend="Name another folder: --out"
        ) from cause


def _is_replaceable(target: Path) -> bool:
    if not target.is_dir():
        return False
    found = {path.name for path in target.iterdir()}
    if not found:
        return True
    try:
        manifest = read_manifest(target)
    except ModelError:
        return False
    return found <= {MANIFEST_NAME, *manifest.files}
