"""How far a converted graph is from its source: held against outputs of the source's own interpreter, recorded once.

A device that converts the starter models has no LiteRT. So the outputs that LiteRT gave for a few made pictures lie
beside this module (data/litert_reference.json, written by `python -m emomusic_edge.export.starter.record_parity`); the
tests hold the graphs against LiteRT itself on real pictures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from emomusic_edge.errors import ModelError
from emomusic_edge.made_pictures import made_picture
from emomusic_edge.manifest import Parity

REFERENCE_FILE = Path(__file__).parent / "data" / "litert_reference.json"
BOUND = 1e-4
# Detectors give tens of thousands of numbers a picture; every so manieth is recorded.
STRIDE = 97
PICTURES = 3


@dataclass(frozen=True, slots=True)
class Reference:
    """Recorded outputs of one source file.

    Attributes:
        weights_sha256: of the source file.
        interpreter: its name and version.
        outputs: for each made picture, every STRIDE-th number of each output as it is used.
    """

    weights_sha256: str
    interpreter: str
    outputs: Sequence[Mapping[str, Sequence[float]]]


def as_used(name: str, values: NDArray[np.generic], size_px: int) -> NDArray[np.float64]:
    """An output in the unit it is used in: a detector's boxes as shares of the picture, its scores as probabilities.

    As they are, both reach some hundreds, where a step of float32 is 3e-5 and LiteRT's own two sets of kernels differ
    by up to 3e-4.
    """
    exact = np.asarray(values, dtype=np.float64)
    if name == "boxes":
        return exact / size_px
    if name == "scores":
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(exact, -100.0, 100.0))))
    return exact


def thinned(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Every STRIDE-th number of an output, or all where there are fewer than STRIDE."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    return flat if flat.size < STRIDE else flat[::STRIDE]


def read_reference(name: str) -> Reference:
    """The recorded outputs for a bundle.

    Raises:
        ModelError: none are recorded.
    """
    records = json.loads(REFERENCE_FILE.read_text(encoding="utf-8")) if REFERENCE_FILE.exists() else {}
    if name not in records:
        raise ModelError(
            f"No reference outputs are recorded for {name} in {REFERENCE_FILE.name}.",
            mend="python -m emomusic_edge.export.starter.record_parity",
        )
    return Reference(**records[name])


def measure_parity(name: str, model: onnx.ModelProto, weights_sha256: str, unit: str) -> Parity:
    """Hold a graph, at ONNX Runtime's optimisation levels off and all, against the recorded outputs.

    Args:
        name: the bundle's.
        model: with the one input `image`.
        weights_sha256: of the source file that was converted.
        unit: of the outputs, for the report.

    Raises:
        ModelError: nothing is recorded for these weights, or the difference is above BOUND.
    """
    reference = read_reference(name)
    if reference.weights_sha256 != weights_sha256:
        raise ModelError(f"The reference outputs for {name} are of other weights ({reference.weights_sha256[:16]}…).")
    shape = [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim]
    content = model.SerializeToString()
    difference = 0.0
    for level in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        for number, expected in enumerate(reference.outputs):
            found = session.run(names, {"image": made_picture(number, shape[1], shape[2])})
            for output, values in zip(names, found, strict=True):
                told = thinned(as_used(output, values, shape[1]))
                difference = max(difference, float(np.abs(told - np.asarray(expected[output])).max()))
    if not difference <= BOUND:
        raise ModelError(
            f"Graph of {name} differs from {reference.interpreter} by {difference:.2g}; at most {BOUND:g} is allowed."
        )
    return Parity(
        reference=f"{reference.interpreter}, recorded outputs",
        pictures=len(reference.outputs),
        max_abs_difference=difference,
        bound=BOUND,
        unit=unit,
    )
