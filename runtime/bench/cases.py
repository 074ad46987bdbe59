"""What is measured: a bundle on an engine at a T, loaded once for all its T."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from emomusic_edge.contracts import InferenceEngine
from emomusic_edge.engine_store import EngineStore
from emomusic_edge.errors import ConfigError, ModelError
from emomusic_edge.made_pictures import made_picture
from emomusic_edge.manifest import Manifest
from emomusic_edge.model_file import ModelFile, open_bundle
from emomusic_edge.runtime.engines.choose import CPU_PROVIDER, EngineMakers, choose_engine
from emomusic_edge.runtime.engines.onnx_runtime import nodes_by_provider
from emomusic_edge.runtime.freed_memory import give_back_freed_memory
from emomusic_edge.runtime.predictors import MaskBank

from .gpu_memory import used_gpu_mb
from .machine import native_threads, resident_mb

NodesByProvider = Callable[[bytes | ModelFile, str, Mapping[str, NDArray[np.generic]]], dict[str, int]]
EngineName = Literal["tensorrt", "cuda", "cpu"]
ENGINE_NAMES: tuple[EngineName, ...] = ("tensorrt", "cuda", "cpu")


class Case(BaseModel):
    """What a figure is of; two figures are of like things when what they share here says so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: str
    sha256: str = Field(description="of the model file that ran")
    kind: Literal["mc_dropout", "closed_form", "detector"]
    source: Literal["scene", "face"] | None
    precision: str
    height_px: int
    width_px: int
    latency_only: bool = Field(description="random weights: its answers mean nothing")
    samples: int = Field(description="T; 0 for a model without masks")
    engine: EngineName
    provider: str = Field(description="what it truly ran on")

    @property
    def title(self) -> str:
        """The bundle's name, and that its weights are random where they are."""
        return f"{self.bundle} (random weights)" if self.latency_only else self.bundle

    @property
    def label(self) -> str:
        """One line: bundle, T and engine."""
        return f"{self.title} T={self.samples} {self.engine}" if self.samples else f"{self.title} {self.engine}"


@dataclass(frozen=True, slots=True)
class LoadedCase:
    """A case that can run.

    Attributes:
        case: what it is.
        run: one inference on a fixed picture and fixed masks.
        memory_mb: how much resident memory grew with its engine and an inference at each T; shared by all of them.
        gpu_memory_mb: the same of the GPU's memory; None on the CPU, or where the driver does not tell.
        threads: of one inference on the CPU, counted: those that the session started, and the caller; else None.
        nodes: by provider, how many nodes of the graph it ran; None where one provider alone can run it.
    """

    case: Case
    run: Callable[[], object]
    memory_mb: float
    gpu_memory_mb: float | None = None
    threads: int | None = None
    nodes: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A bundle's folder, the T to measure it at (none: its default) and the engines to try."""

    folder: Path
    samples: tuple[int, ...]
    engines: tuple[EngineName, ...] = ENGINE_NAMES


@dataclass(frozen=True, slots=True)
class Loaded:
    """What could be loaded, why the rest could not, and how it is let go of."""

    cases: tuple[LoadedCase, ...]
    absent: tuple[str, ...]
    close: Callable[[], None]


def load_cases(
    wanted: Sequence[Wanted],
    makers: EngineMakers,
    store: EngineStore,
    used_gpu: Callable[[], float | None] = used_gpu_mb,
    count_nodes: NodesByProvider = nodes_by_provider,
) -> Loaded:
    """Load each bundle on each engine that truly runs it here.

    Args:
        wanted: what to measure, in the order of the table; the same again is measured once.
        makers: how engines are built.
        store: where TensorRT's lie.
        used_gpu: memory in use on the GPU, in MiB; asked only around engines that run there.
        count_nodes: which provider runs how many nodes; asked only where a session has several providers.

    Raises:
        ModelError: a bundle is missing or altered, or not even the CPU runs it.
        ConfigError: no engine that was asked for runs here.
    """
    cases: dict[Case, LoadedCase] = {}
    absent: dict[str, None] = {}
    closers: list[Callable[[], None]] = []

    def close() -> None:
        while closers:
            closers.pop()()

    try:
        for want in wanted:
            manifest, model = open_bundle(want.folder)
            counts = _sample_counts(manifest, want.samples)
            for name in want.engines:
                if name != "cpu" and isinstance(gpu := makers.probe(), str):
                    absent[f"TensorRT and CUDA: {gpu}"] = None
                    continue
                gpu_before_mb = used_gpu() if name != "cpu" else None
                # As the service does once its models are loaded.
                give_back_freed_memory()
                before_mb, threads_before = resident_mb(), native_threads()
                chosen = choose_engine(model, manifest, makers, wanted=name, samples=max(counts) or None, store=store)
                if chosen.passed_over:
                    # It fell back to another, which has a turn of its own.
                    chosen.close()
                    absent[f"{manifest.name}: {chosen.passed_over[0]}"] = None
                    continue
                closers.append(chosen.close)
                threads = native_threads() - threads_before + 1 if name == "cpu" else None
                runs = {
                    _case(manifest, t, name, chosen.engine.provider): _run_of(chosen.engine, manifest, t)
                    for t in counts
                }
                for run in runs.values():
                    run()
                give_back_freed_memory()
                grown_mb = resident_mb() - before_mb
                gpu_mb = None
                if gpu_before_mb is not None and (gpu_after_mb := used_gpu()) is not None:
                    gpu_mb = gpu_after_mb - gpu_before_mb
                nodes = None
                if name == "cuda":
                    try:
                        nodes = count_nodes(model, manifest.name, _inputs(manifest, max(counts)))
                    except ModelError as error:
                        absent[f"{manifest.name}: which nodes run on which provider: {error}"] = None
                for case, run in runs.items():
                    cases.setdefault(case, LoadedCase(case, run, grown_mb, gpu_mb, threads, nodes))
        if not cases:
            raise ConfigError(
                f"Nothing to measure: {'; '.join(absent) or 'no bundle was named'}.",
                mend="Measure on the CPU: --engine cpu",
            )
    except BaseException:
        close()
        raise
    return Loaded(tuple(cases.values()), tuple(absent), close)


def _sample_counts(manifest: Manifest, samples: Sequence[int]) -> list[int]:
    """The T to measure: those asked for, else the default; a single 0 for a bundle without masks."""
    if manifest.mc_dropout is None:
        return [0]
    return sorted(set(samples)) or [manifest.mc_dropout.default_samples]


def _case(manifest: Manifest, samples: int, engine: EngineName, provider: str) -> Case:
    return Case(
        bundle=manifest.name,
        sha256=manifest.files[manifest.model_file(on_cpu=provider == CPU_PROVIDER)],
        kind=manifest.kind,
        source=manifest.source,
        precision=manifest.precision,
        height_px=manifest.image.height_px,
        width_px=manifest.image.width_px,
        latency_only=manifest.latency_only,
        samples=samples,
        engine=engine,
        provider=provider,
    )


def _run_of(engine: InferenceEngine, manifest: Manifest, samples: int) -> Callable[[], object]:
    inputs = _inputs(manifest, samples)
    return lambda: engine.run(inputs)


def _inputs(manifest: Manifest, samples: int) -> dict[str, NDArray[np.generic]]:
    """A fixed picture, and fixed masks where there are any."""
    inputs: dict[str, NDArray[np.generic]] = {
        "image": made_picture(0, manifest.image.height_px, manifest.image.width_px)
    }
    if manifest.mc_dropout is not None:
        inputs["masks"] = MaskBank(manifest.mc_dropout, samples=samples, kind="frozen", seed=0).rows()
    return inputs
