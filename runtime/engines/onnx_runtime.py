"""Runs a model file with ONNX Runtime: the one module of the runtime that imports it."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emomusic_edge.cpu_identity import cpu_identity
from emomusic_edge.errors import ModelError
from emomusic_edge.graph_store import GraphKey, GraphStore
from emomusic_edge.manifest import names_external_data
from emomusic_edge.model_file import ModelFile

from .optimised_graph import open_kept

# What a bundle may be run on, best first; the truth after loading is `OrtEngine.provider`.
_CPU = "CPUExecutionProvider"
PREFERRED_PROVIDERS = ("CUDAExecutionProvider", _CPU)
# To be changed together with what changes a kept graph in `_Opener`.
_OPTIMISATION = "all"


class OrtEngine:
    """An ONNX Runtime session behind contracts.InferenceEngine.

    Threads do not spin between calls: several sessions share one process, and spinning ones slow each other (1.7 times
    at fp32, more than twice at int8, measured on two cores). Within a call they do: where they slept between two
    operators too, it took 1.12 times as long in int8 and 1.05 times in fp32, for 2 to 7 % less CPU time.
    """

    def __init__(
        self,
        model: bytes | ModelFile,
        *,
        name: str,
        threads: int = 0,
        providers: Sequence[str] = PREFERRED_PROVIDERS,
        optimise: bool = True,
        graphs: GraphStore | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: the bundle's `model.onnx`, or its content, hash-checked by the caller. On the CPU alone its `for_cpu`
                runs in its place.
            name: the bundle's name, for messages.
            threads: of one inference; 0 leaves it to ONNX Runtime (one a core).
            providers: those to try, best first; what this build of ONNX Runtime lacks is passed over.
            optimise: False switches graph optimisation off (for parity checks).
            graphs: where optimised graphs are kept, of a ModelFile for the CPU alone; None optimises at each load.

        Raises:
            ModelError: it does not load, or points to data outside itself.
        """
        if isinstance(model, bytes) and names_external_data(model):
            raise ModelError(f"Model {name} keeps weights in another file, which a bundle may not do.")
        available = set(ort.get_available_providers())
        opener = _Opener(threads, [provider for provider in providers if provider in available])
        model = _suited(model, opener.providers)
        session: ort.InferenceSession | None = None
        if graphs is not None and isinstance(model, ModelFile) and optimise and opener.providers == [_CPU]:
            key = GraphKey(model.sha256, ort.__version__, cpu_identity(), _OPTIMISATION)
            session = open_kept(model, name, key, graphs, opener) if key.cpu else None
        self._session = _opened(model, name, opener, optimise=optimise) if session is None else session
        self._name = name
        self._shapes = {i.name: (i.shape, i.type) for i in self._session.get_inputs()}
        self._outputs = [o.name for o in self._session.get_outputs()]

    @property
    def provider(self) -> str:
        """What the session truly runs on; ONNX Runtime's list of what it was built with says nothing of that."""
        return str(self._session.get_providers()[0])

    @property
    def input_names(self) -> tuple[str, ...]:
        """The graph's inputs."""
        return tuple(self._shapes)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The graph's outputs."""
        return tuple(self._outputs)

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> Mapping[str, NDArray[np.generic]]:
        """One inference.

        Args:
            inputs: an array for each input of the graph.

        Returns:
            An array for each output of the graph.

        Raises:
            ModelError: an input is missing, of another shape or dtype, or the engine failed.
        """
        try:
            values = self._session.run(self._outputs, dict(inputs))
        except Exception as cause:
            given = ", ".join(f"{key} {value.dtype} {list(value.shape)}" for key, value in inputs.items())
            wanted = ", ".join(f"{key} {kind} {shape}" for key, (shape, kind) in self._shapes.items())
            raise ModelError(
                f"Model {self._name} failed: {_first_line(cause)} (given: {given}; its inputs: {wanted})"
            ) from cause
        return dict(zip(self._outputs, values, strict=True))


def nodes_by_provider(
    model: bytes | ModelFile,
    name: str,
    inputs: Mapping[str, NDArray[np.generic]],
    providers: Sequence[str] = PREFERRED_PROVIDERS,
) -> dict[str, int]:
    """How many nodes of a graph each provider runs, by a profile of one inference in a session of its own.

    `OrtEngine.provider` is the first of a session's providers, and what that one lacks runs on another: an int8 graph
    on CUDA may lie on the CPU in large part.

    Args:
        model: as OrtEngine takes it.
        name: the bundle's name, for messages.
        inputs: an array for each input of the graph.
        providers: those to try, best first.

    Raises:
        ModelError: it does not load, does not run, or the profile names no node.
    """
    options = session_options(0)
    options.enable_profiling = True
    available = set(ort.get_available_providers())
    try:
        with tempfile.TemporaryDirectory() as folder:
            options.profile_file_prefix = str(Path(folder) / "profile")
            wanted = [provider for provider in providers if provider in available]
            with _readable(_suited(model, wanted)) as content:
                session = ort.InferenceSession(content, options, providers=wanted, enable_fallback=0)
            session.run(None, dict(inputs))
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    except Exception as cause:
        raise ModelError(f"Model {name} gives no profile: {_first_line(cause)}") from cause
    nodes = Counter(str(event["args"]["provider"]) for event in events if "provider" in event.get("args", {}))
    if not nodes:
        raise ModelError(f"Model {name} gives no profile: this ONNX Runtime names no node's provider in it.")
    return dict(nodes)


def session_options(threads: int) -> ort.SessionOptions:
    """What every session of the runtime is opened with; a benchmark that holds something against it takes them too.

    Args:
        threads: of one inference; 0 leaves it to ONNX Runtime (one a core).
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    return options


class _Opener:
    """Opens sessions with the options that all of them share."""

    def __init__(self, threads: int, providers: Sequence[str]) -> None:
        self.providers = list(providers)
        self._threads = threads

    def __call__(self, model: str | bytes, *, optimise: bool, save_to: Path | None = None) -> ort.InferenceSession:
        """See optimised_graph.Opener."""
        options = session_options(self._threads)
        if not optimise:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if save_to is not None:
            options.optimized_model_filepath = str(save_to)
        # Where nothing else could be fallen back to, ONNX Runtime would only print that it tries the same again.
        falls_back = int(self.providers != [_CPU])
        return ort.InferenceSession(model, options, providers=self.providers, enable_fallback=falls_back)


def _opened(model: bytes | ModelFile, name: str, opener: _Opener, *, optimise: bool) -> ort.InferenceSession:
    try:
        with _readable(model) as content:
            return opener(content, optimise=optimise)
    except ModelError:
        raise
    except Exception as cause:
        raise ModelError(f"Model {name} does not load: {_first_line(cause)}") from cause


def _suited(model: bytes | ModelFile, providers: Sequence[str]) -> bytes | ModelFile:
    """The form of a model that runs fastest on these."""
    if isinstance(model, ModelFile) and model.for_cpu is not None and list(providers) == [_CPU]:
        # An altered bundle is refused, though this file of it is not what runs.
        replace(model, for_cpu=None).check()
        return model.for_cpu
    return model


def _readable(model: bytes | ModelFile) -> contextlib.AbstractContextManager[bytes | str]:
    return model.opened() if isinstance(model, ModelFile) else contextlib.nullcontext(model)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
