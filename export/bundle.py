"""Checks a graph against the bundle contract and writes the bundle: all of it, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import onnx
from onnx import TensorProto

from emomusic_edge import __version__
from emomusic_edge.artefacts import folder_written_whole, sha256_of
from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import MANIFEST_NAME, MODEL_NAME, Manifest

OPSET = 17
# What ONNX Runtime 1.23, the last with wheels for Python 3.10, reads.
IR_VERSION = 9
WRITTEN_BY = f"emomusic-edge {__version__}"

# Sampling belongs to the masks: ONNX Runtime removes Dropout, TensorRT refuses it or ignores the seed.
FORBIDDEN_OPERATORS = frozenset({"Dropout", "Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform"})
_FORBIDDEN_PREFIX = "Random"

# Element type and shape of an input; None is a dimension that varies.
_Signature: TypeAlias = tuple[int, list[int | None]]

_OUTPUTS = {
    "mc_dropout": ("mean", "variance", "samples"),
    "closed_form": ("mean", "variance"),
    "detector": ("boxes", "scores"),
}


def check_contract(model: onnx.ModelProto, manifest: Manifest) -> None:
    """Hold a graph against the contract in the docstring of emomusic_edge.manifest.

    Raises:
        ModelError: naming the first thing that breaks it.
    """
    name = manifest.name
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as cause:
        raise ModelError(f"Graph of {name} is not valid ONNX: {str(cause).splitlines()[0]}") from cause
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if set(opsets) != {""} or opsets[""] != manifest.opset:
        raise ModelError(f"Graph of {name} uses opsets {opsets}, its manifest says {manifest.opset}.")
    for node in model.graph.node:
        if node.op_type in FORBIDDEN_OPERATORS or node.op_type.startswith(_FORBIDDEN_PREFIX):
            raise ModelError(
                f"Graph of {name} holds {node.op_type} ({node.name or node.output[0]}): sampling must "
                "come from the masks."
            )
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ModelError(f"Graph of {name} keeps weights in another file, which a bundle may not do.")
    image = manifest.image
    inputs = {value.name: _signature(value) for value in model.graph.input}
    wanted: dict[str, _Signature] = {"image": (TensorProto.UINT8, [1, image.height_px, image.width_px, 3])}
    if manifest.mc_dropout is not None:
        wanted["masks"] = (TensorProto.FLOAT, [None, manifest.mc_dropout.mask_width])
    if inputs != wanted:
        raise ModelError(f"Graph of {name} has inputs {inputs}, the contract asks for {wanted}.")
    outputs = tuple(value.name for value in model.graph.output)
    if outputs != _OUTPUTS[manifest.kind]:
        raise ModelError(f"Graph of {name} has outputs {outputs}, a {manifest.kind} has {_OUTPUTS[manifest.kind]}.")


def write_bundle(target: Path, model: onnx.ModelProto, manifest: Manifest) -> Manifest:
    """Write `target/model.onnx` and `target/manifest.json`; whatever happens, the old bundle or the new one stands.

    Args:
        target: the bundle's folder.
        model: the graph.
        manifest: all but the hash of the model, which is filled in.

    Returns:
        The manifest as written.

    Raises:
        ModelError: the graph breaks the contract, or the folder cannot be written.
    """
    check_contract(model, manifest)
    try:
        with folder_written_whole(target) as scratch:
            (scratch / MODEL_NAME).write_bytes(model.SerializeToString(deterministic=True))
            final = Manifest.model_validate(
                manifest.model_dump() | {"files": {MODEL_NAME: sha256_of(scratch / MODEL_NAME)}}
            )
            (scratch / MANIFEST_NAME).write_text(final.to_json(), encoding="utf-8")
    except OSError as cause:
        raise ModelError(
            f"Bundle {target} could not be written: {cause.strerror or cause}.",
            mend="free some space, or name another folder: EMOMUSIC_PATHS__DATA_DIR=/some/folder",
        ) from cause
    return final


def _signature(value: onnx.ValueInfoProto) -> _Signature:
    tensor = value.type.tensor_type
    return tensor.elem_type, [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
