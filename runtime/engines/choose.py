"""The best engine that truly works here: TensorRT, else ONNX Runtime on CUDA, else on the CPU, with the reasons why.

A better engine that is missing, stale, foreign, altered or does not load is passed over and not tried again: whatever
is wrong with a GPU, the CPU runs the bundle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from emomusic_edge.contracts import InferenceEngine
from emomusic_edge.cuda_probe import Gpu
from emomusic_edge.engine_store import EngineStore, engine_key
from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import Manifest

CUDA_PROVIDER = "CUDAExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"

Wanted = Literal["auto", "tensorrt", "cuda", "cpu"]


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
    onnx_runtime: Callable[[bytes, str, Sequence[str]], InferenceEngine]


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
    model: bytes, manifest: Manifest, makers: EngineMakers, *, wanted: Wanted, samples: int | None, store: EngineStore
) -> Chosen:
    """Load a bundle on the best that works.

    Args:
        model: the content of `model.onnx`, hash-checked by the caller.
        manifest: the bundle's.
        makers: how engines are built.
        wanted: the best to try; `auto` is `tensorrt`, only without a warning where there is no GPU.
        samples: T, the mask rows of an inference; None takes the bundle's default.
        store: where engines lie that were built here.

    Raises:
        ModelError: not even the CPU runs it.
    """
    passed_over: list[PassedOver] = []
    if wanted == "cpu":
        return Chosen(makers.onnx_runtime(model, manifest.name, [CPU_PROVIDER]), (), _nothing_to_close)
    gpu = makers.probe()
    if wanted in ("auto", "tensorrt"):
        asked_for = wanted == "tensorrt"
        tensorrt = _tensorrt(manifest, makers, gpu, samples, store, asked_for=asked_for)
        if not isinstance(tensorrt, PassedOver):
            return Chosen(tensorrt, (), tensorrt.close)
        passed_over.append(tensorrt)
    asked_for = wanted == "cuda"
    if isinstance(gpu, str):
        passed_over.append(PassedOver("CUDA", gpu, "", logging.WARNING if asked_for else logging.DEBUG))
        engine = makers.onnx_runtime(model, manifest.name, [CPU_PROVIDER])
        return Chosen(engine, tuple(passed_over), _nothing_to_close)
    engine = makers.onnx_runtime(model, manifest.name, [CUDA_PROVIDER, CPU_PROVIDER])
    if engine.provider != CUDA_PROVIDER:
        reason = f"ONNX Runtime as it is installed here runs {manifest.name} on {engine.provider}"
        passed_over.append(PassedOver("CUDA", reason, "", logging.WARNING if asked_for else logging.INFO))
    return Chosen(engine, tuple(passed_over), _nothing_to_close)


def _nothing_to_close() -> None:
    pass


def _tensorrt(
    manifest: Manifest,
    makers: EngineMakers,
    gpu: Gpu | str,
    samples: int | None,
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
    except ModelError as error:
        return passed(str(error), error.mend, logging.INFO)
    rows = 0 if manifest.mc_dropout is None else samples or manifest.mc_dropout.default_samples
    build = f"emomusic-edge export engine {manifest.name}"
    found = store.find(manifest.name, engine_key(manifest, gpu, str(trt.__version__)), rows)
    if isinstance(found, str):
        return passed(found, build, logging.WARNING)
    try:
        with store.loading(found):
            return makers.tensorrt(found.plan, manifest.name, trt)
    except ModelError as error:
        return passed(str(error), error.mend or build, logging.WARNING)
