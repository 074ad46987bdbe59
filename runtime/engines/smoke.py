"""The smoke run of a new engine, in a process of its own: `python -m emomusic_edge.runtime.engines.smoke JOB.json`.

The engine answers for made pictures and is held against what its source answered when the bundle was exported
(parity.json; int8's source is its own graph), or, where a bundle records none, against ONNX Runtime on the CPU. An
engine is kept only after that.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.artefacts import read_verified
from emomusic_edge.contracts import InferenceEngine
from emomusic_edge.cuda_probe import probe_cuda
from emomusic_edge.errors import ModelError
from emomusic_edge.made_pictures import made_picture
from emomusic_edge.manifest import Manifest, read_bundle
from emomusic_edge.own_process import answer_with, tell_progress
from emomusic_edge.parity_bounds import PARITY_BOUNDS
from emomusic_edge.parity_record import PARITY_NAME, parse_parity_record
from emomusic_edge.runtime.predictors import MaskBank

from .choose import CPU_PROVIDER
from .onnx_runtime import OrtEngine
from .tensorrt import TensorRTEngine, import_tensorrt

_PICTURES = 3
_TIMED_RUNS = 30
# An engine's own mean and variance against those of its samples, in FindingEmo units; fp16 sums allowed for.
_OWN_SUMS_TOLERANCE = 0.02

Inputs = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Case:
    """One inference and what its outputs should be."""

    inputs: Inputs
    expected: Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class SmokeJob:
    """What the process is told, as JSON.

    Attributes:
        bundle: the bundle's folder.
        plan: the engine's file.
        plan_sha256: what it must hash to.
        samples_max: the most mask rows it takes.
    """

    bundle: str
    plan: str
    plan_sha256: str
    samples_max: int


def smoke(job: SmokeJob, make: Callable[[bytes, str], TensorRTEngine] | None = None) -> dict[str, Any]:
    """Run a job.

    Args:
        job: what to run.
        make: from a plan and a name to an engine; None takes the TensorRT and the GPU that are here.

    Returns:
        Figures for the engine's record: `reference`, `inferences`, `difference`, `bound`, `run_ms` (the median).

    Raises:
        ModelError: the engine does not load, fails, or is too far from its reference.
    """
    manifest, model = read_bundle(Path(job.bundle))
    plan = read_verified(Path(job.plan), job.plan_sha256, ModelError)
    reference, cases = _cases(manifest, model, Path(job.bundle), job.samples_max)
    engine = make(plan, manifest.name) if make is not None else _engine(plan, manifest.name)
    try:
        tell_progress(f"holding the engine against {reference}")
        difference = _difference(engine, manifest, cases, reference)
        run_ms = _median_ms(engine, cases[0].inputs)
    finally:
        engine.close()
    return {
        "reference": reference,
        "inferences": len(cases),
        "difference": float(f"{difference:.3g}"),
        "bound": str(PARITY_BOUNDS[manifest.precision]),
        "run_ms": float(f"{run_ms:.3g}"),
    }


def _engine(plan: bytes, name: str) -> TensorRTEngine:
    gpu = probe_cuda()
    if isinstance(gpu, str):
        raise ModelError(f"The engine of {name} cannot be tried here: {gpu}.")
    return TensorRTEngine(plan, name=name, trt=import_tensorrt())


def _cases(manifest: Manifest, model: bytes, bundle: Path, samples_max: int) -> tuple[str, list[Case]]:
    """What the cases are held against, and the cases."""
    if manifest.mc_dropout is not None and PARITY_NAME in manifest.files:
        record = parse_parity_record(read_verified(bundle / PARITY_NAME, manifest.files[PARITY_NAME], ModelError))
        masks = record.masks(manifest.mc_dropout.p)
        ones = np.ones((1, masks.shape[1]), np.float32)
        cases = []
        for number, image in enumerate(record.images(manifest.image.height_px, manifest.image.width_px)):
            answers = np.array(record.samples[number], np.float64)
            for start in range(0, len(masks), samples_max):
                rows = slice(start, start + samples_max)
                cases.append(Case({"image": image, "masks": masks[rows]}, {"samples": answers[rows]}))
            plain = np.array([record.deterministic[number]], np.float64)
            cases.append(Case({"image": image, "masks": ones}, {"samples": plain}))
        return f"{record.reference}, recorded in the bundle", cases
    cpu = OrtEngine(model, name=manifest.name, providers=[CPU_PROVIDER])
    return "ONNX Runtime on the CPU", [
        Case(inputs, _held(cpu, inputs)) for inputs in _made_inputs(manifest, samples_max)
    ]


def _made_inputs(manifest: Manifest, samples_max: int) -> Iterator[Inputs]:
    for number in range(_PICTURES):
        image = made_picture(number, manifest.image.height_px, manifest.image.width_px)
        if manifest.mc_dropout is None:
            yield {"image": image}
        else:
            samples = min(manifest.mc_dropout.default_samples, samples_max)
            yield {
                "image": image,
                "masks": MaskBank(manifest.mc_dropout, samples=samples, kind="frozen", seed=0).rows(),
            }


def _held(engine: InferenceEngine, inputs: Inputs) -> dict[str, NDArray[np.floating]]:
    """The outputs that are compared: samples alone where there are any, since the others follow from them."""
    outputs = engine.run(inputs)
    names = ["samples"] if "samples" in outputs else list(outputs)
    return {name: np.asarray(outputs[name], np.float64) for name in names}


def _difference(engine: InferenceEngine, manifest: Manifest, cases: list[Case], reference: str) -> float:
    """The statistic of the precision's bound over all cases.

    A detector's logits and box coordinates have no unit in common: theirs are divided by the largest of each output.

    Raises:
        ModelError: it is beyond the bound, or the engine's samples do not follow its masks.
    """
    differences = []
    for case in cases:
        outputs = engine.run(case.inputs)
        if "samples" in outputs:
            _check_samples(manifest.name, outputs)
        for name, expected in case.expected.items():
            got = np.asarray(outputs[name], np.float64)
            if got.shape != expected.shape:
                raise ModelError(
                    f"The engine of {manifest.name} gives {name} {list(got.shape)}, expected {list(expected.shape)}."
                )
            scale = max(1.0, float(np.abs(expected).max())) if manifest.kind == "detector" else 1.0
            differences.append(((got - expected) / scale).ravel())
    bound = PARITY_BOUNDS[manifest.precision]
    every = np.concatenate(differences)
    if not bound.holds(every):
        raise ModelError(
            f"The engine of {manifest.name} is {bound.of(every):.3g} from {reference}, expected at most {bound} "
            f"({manifest.precision}).",
            mend="Export the bundle at fp32 and build again: if that holds, leave it so, and tell us of the other.",
        )
    return bound.of(every)


def _check_samples(name: str, outputs: Mapping[str, NDArray[np.generic]]) -> None:
    samples = np.asarray(outputs["samples"], np.float64)
    if len(samples) < 2:
        return
    if not (samples.std(axis=0) > 0).all():
        raise ModelError(f"The engine of {name} gives the same answer for every mask: its dropout was lost.")
    own = {"mean": samples.mean(axis=0), "variance": samples.var(axis=0, ddof=1)}
    for what, expected in own.items():
        got = np.asarray(outputs[what], np.float64)
        if got.shape != expected.shape or not np.allclose(got, expected, atol=_OWN_SUMS_TOLERANCE, rtol=0.01):
            raise ModelError(f"The engine of {name} gives {what} {got.tolist()}, its samples say {expected.tolist()}.")


def _median_ms(engine: InferenceEngine, inputs: Inputs) -> float:
    times = []
    for _ in range(_TIMED_RUNS):
        start_s = time.perf_counter()
        engine.run(inputs)
        times.append(time.perf_counter() - start_s)
    return float(np.median(times)) * 1e3


if __name__ == "__main__":
    sys.exit(answer_with(lambda: smoke(SmokeJob(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))))
