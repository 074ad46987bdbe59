"""The best engine that truly works here: TensorRT, else ONNX Runtime on CUDA, else on the CPU, with the reasons why.

A better engine that is missing, stale, foreign, altered, does not load or fails at its first inference is passed over
and not tried again: whatever is wrong with a GPU, the CPU runs the bundle.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import InferenceEngine
from emomusic_edge.cuda_probe import Gpu
from emomusic_edge.engine_store import EngineStore, engine_key
from emomusic_edge.errors import EmomusicError, ModelError
from emomusic_edge.made_pictures import made_picture
from emomusic_edge.manifest import Manifest
from emomusic_edge.model_file import ModelFile

CUDA_PROVIDER = "CUDAExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"

Wanted = Literal["auto", "tensorrt", "cuda", "cpu"]

_log = logging.getLogger(__name__)
# Models load side by side: of several engines that are being loaded, nobody could tell which ended the process.
_TENSORRT_TURN = threading.Lock()


class ClosableEngine(InferenceEngine, Protocol):
    """An engine that holds a device."""

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True)
class EngineMakers:
    """How the concrete engines are built; the composition root knows.

    Attributes:
        probe: the GPU, or why there is none; asked before `import_tensorrt`.
        import_tensorrt: gives the `tensorrt` module.
        tensorrt: from a plan, a name and that module.
        onnx_runtime: from a model, a name and the providers to try.
    """

    probe: Callable[[], Gpu | str]
    import_tensorrt: Callable[[], Any]
    tensorrt: Callable[[bytes, str, Any], ClosableEngine]
    onnx_runtime: Callable[[bytes | ModelFile, str, Sequence[str]], InferenceEngine]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Why a better engine does not run a bundle.

    Attributes:
        what: `TensorRT` or `CUDA`.
        reason: one line.
        mend: the command that mends it; empty where nothing does.
        level: of logging: WARNING for what was asked for by name or went wrong, DEBUG where there is no GPU anyway.
    """

    what: str
    reason: str
    mend: str
    level: int

    def __str__(self) -> str:
        """As it is logged."""
        return f"{self.what} is passed over: {self.reason.rstrip('.')}." + (f" mend: {self.mend}" if self.mend else "")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The engine that runs a bundle.

    Attributes:
        engine: its `provider` says what it truly runs on.
        passed_over: why no better one does.
        close: lets go of what it holds.
    """

    engine: InferenceEngine
    passed_over: tuple[PassedOver, ...]
    close: Callable[[], None]


def choose_engine(
    model: bytes | ModelFile,
    manifest: Manifest,
    makers: EngineMakers,
    *,
    wanted: Wanted,
    samples: int | None,
    store: EngineStore,
) -> Chosen:
    """Load a bundle on the best that works.

    Args:
        model: the bundle's `model.onnx`, or its content, hash-checked by the caller.
        manifest: the bundle's.
        makers: how engines are built.
        wanted: the best to try; `auto` is `tensorrt`, only without a warning where there is no GPU.
        samples: T, the mask rows of an inference; None takes the bundle's default.
        store: where engines lie that were built here.

    Raises:
        ModelError: not even the CPU runs it, it is altered, or it is another model than its manifest describes.
    """
    passed_over: list[PassedOver] = []
    rows = _rows(manifest, samples)
    if wanted == "cpu":
        return Chosen(_on_cpu(model, manifest, makers, rows), (), _nothing_to_close)
    gpu = makers.probe()
    if isinstance(model, ModelFile) and not isinstance(gpu, str):
        # An engine is found by the model's hash, and an altered bundle is refused all the same.
        model.check()
    if wanted in ("auto", "tensorrt"):
        asked_for = wanted == "tensorrt"
        tensorrt = _tensorrt(manifest, makers, gpu, rows, store, asked_for=asked_for)
        if not isinstance(tensorrt, PassedOver):
            return Chosen(tensorrt, (), tensorrt.close)
        passed_over.append(tensorrt)
    engine, reason = _cuda(model, manifest, makers, gpu, rows, asked_for=wanted == "cuda")
    if reason is not None:
        passed_over.append(reason)
    if engine is None:
        engine = _on_cpu(model, manifest, makers, rows)
    return Chosen(engine, tuple(passed_over), _nothing_to_close)


def _on_cpu(model: bytes | ModelFile, manifest: Manifest, makers: EngineMakers, rows: int) -> InferenceEngine:
    engine = makers.onnx_runtime(model, manifest.name, [CPU_PROVIDER])
    # A hash says that a file is the one that was meant, not that it is such a model: told now, and not on each frame.
    _first_inference(engine, manifest, rows)
    return engine


def _nothing_to_close() -> None:
    pass


def _rows(manifest: Manifest, samples: int | None) -> int:
    """The mask rows of an inference; 0 for a model without masks."""
    return 0 if manifest.mc_dropout is None else samples or manifest.mc_dropout.default_samples


def _tensorrt(
    manifest: Manifest,
    makers: EngineMakers,
    gpu: Gpu | str,
    rows: int,
    store: EngineStore,
    *,
    asked_for: bool,
) -> ClosableEngine | PassedOver:
    def passed(reason: str, mend: str, level: int) -> PassedOver:
        return PassedOver("TensorRT", reason, mend, logging.WARNING if asked_for else level)

    if isinstance(gpu, str):
        return passed(gpu, "", logging.DEBUG)
    try:
        trt = makers.import_tensorrt()
        version = str(trt.__version__)
    except Exception as error:  # noqa: BLE001 (half an installation raises anything; the next rung runs the bundle)
        return passed(*_told(error), logging.INFO)
    build = f"emomusic-edge export engine {manifest.name}"
    found = store.find(manifest.name, engine_key(manifest, gpu, version), rows)
    if isinstance(found, str):
        return passed(found, build, logging.WARNING)
    try:
        with _TENSORRT_TURN, store.loading(found):
            engine = makers.tensorrt(found.plan, manifest.name, trt)
            try:
                _first_inference(engine, manifest, rows)
            except BaseException:
                engine.close()
                raise
            return engine
    except Exception as error:  # noqa: BLE001 (as above)
        reason, mend = _told(error)
        return passed(reason, mend or build, logging.WARNING)


def _cuda(
    model: bytes | ModelFile, manifest: Manifest, makers: EngineMakers, gpu: Gpu | str, rows: int, *, asked_for: bool
) -> tuple[InferenceEngine | None, PassedOver | None]:
    """The engine that ONNX Runtime gives where CUDA is asked for, if any, and why it does not run on CUDA, if so."""

    def passed(reason: str, mend: str, level: int) -> PassedOver:
        return PassedOver("CUDA", reason, mend, logging.WARNING if asked_for else level)

    if isinstance(gpu, str):
        return None, passed(gpu, "", logging.DEBUG)
    try:
        engine = makers.onnx_runtime(model, manifest.name, [CUDA_PROVIDER, CPU_PROVIDER])
        if engine.provider == CUDA_PROVIDER:
            # One without code for this GPU loads, and says so only when it runs.
            _first_inference(engine, manifest, rows)
            return engine, None
    except Exception as error:  # noqa: BLE001 (as above)
        return None, passed(*_told(error), logging.WARNING)
    reason = f"ONNX Runtime as it is installed here runs {manifest.name} on {engine.provider}"
    # A session for the CPU is what would be built next: for a large model that takes seconds, and its memory again.
    # Only a form of its own for processors is worth them.
    other_form = isinstance(model, ModelFile) and model.for_cpu is not None
    kept = engine.provider == CPU_PROVIDER and not other_form
    return engine if kept else None, passed(reason, "", logging.INFO)


def _first_inference(engine: InferenceEngine, manifest: Manifest, rows: int) -> None:
    """Run an engine once, so that one that loads and does not run is found out while another can still be taken.

    Raises:
        ModelError: it does not run, or does not give what a model of that kind gives.
    """
    inputs: dict[str, NDArray[np.generic]] = {
        "image": made_picture(0, manifest.image.height_px, manifest.image.width_px)
    }
    if manifest.mc_dropout is not None:
        inputs["masks"] = np.ones((rows, manifest.mc_dropout.mask_width), np.float32)
    found = engine.run(inputs).keys()
    wanted = ("mean", "variance") if manifest.anchors is None else ("boxes", "scores")
    if missing := [name for name in wanted if name not in found]:
        raise ModelError(
            f"Model {manifest.name} gives {', '.join(found) or 'nothing'} and no {' and no '.join(missing)}: "
            "it is another model than its manifest describes.",
            mend="Export it again, or name another bundle.",
        )


def _told(error: Exception) -> tuple[str, str]:
    """The reason and the mend of whatever was raised."""
    if isinstance(error, EmomusicError):
        return str(error), error.mend
    _log.debug("a better engine failed", exc_info=error)
    return f"{type(error).__name__}: {error}", ""
