"""Builds a TensorRT engine from an ONNX file, with names that TensorRT 10.3, 10.16 and 11 all have.

The `tensorrt` module is an argument, and the standard library is all that is imported: so this runs with JetPack's
TensorRT, with tensorrt_rtx in an environment of its own, and with the strict fake of the tests. Failure of TensorRT is
a None or a False far more often than an exception; each one is checked, and what TensorRT logged is told with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.errors import ModelError

# What TensorRT says at most with one failure.
_TOLD_LINES = 6
_DIGEST_BYTES = 32

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SampleRange:
    """T, the mask rows of one inference: the fewest, the most, and the number that kernels are chosen for."""

    least: int = 1
    best: int = 64
    most: int = 128


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What an engine is to be.

    Attributes:
        name: the bundle's, for messages.
        samples: the range of the first axis wherever the graph leaves one open; of no effect in a graph without.
        workspace_bytes: scratch memory that a kernel may take; None leaves it to TensorRT (all of the GPU's).
        timing_cache: measurements of earlier builds, read and written; None keeps none.
    """

    name: str
    samples: SampleRange = SampleRange()
    workspace_bytes: int | None = None
    timing_cache: Path | None = None


def build_engine(
    trt: Any,
    onnx_path: Path,
    request: BuildRequest,
    log: Log = lambda line: None,
    configure: Callable[[Any], None] = lambda config: None,
) -> bytes:
    """Build, strongly typed: precision is what the graph says, FP16 casts and Q/DQ nodes included.

    Args:
        trt: the `tensorrt` module.
        onnx_path: a file whose bytes were checked, in a place where nobody else writes.
        request: what the engine is to be.
        log: gets a line for each step, and what TensorRT warns of.
        configure: a last word on the IBuilderConfig, for a TensorRT that needs more than the common names.

    Returns:
        The serialized engine, the `plan`.

    Raises:
        ModelError: the parser refuses the graph (each of its errors is told), or a step of the build failed.
    """
    said = _Said(request.name, log)
    logger = _logger(trt, said)
    builder = said.given(lambda: trt.Builder(logger), "Builder")
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = said.given(lambda: builder.create_network(typed), "create_network")
    parser = said.given(lambda: trt.OnnxParser(network, logger), "OnnxParser")
    log("reading the graph")
    if not parser.parse_from_file(str(onnx_path)):
        raise ModelError(f"TensorRT {trt.__version__} refuses the graph of {request.name}: {_parser_errors(parser)}")
    config = said.given(builder.create_builder_config, "create_builder_config")
    if request.workspace_bytes is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace_bytes)
    _set_profile(builder, network, config, request, said)
    configure(config)
    if request.timing_cache is not None:
        _load_timing_cache(config, request.timing_cache, log)
    log("choosing kernels; on a small board this takes minutes")
    plan = said.given(lambda: builder.build_serialized_network(network, config), "build_serialized_network")
    if request.timing_cache is not None:
        _keep_timing_cache(config, request.timing_cache, log)
    return bytes(plan)


class _Said:
    """What TensorRT logged, to be told with a failure: its None alone says nothing."""

    def __init__(self, name: str, log: Log) -> None:
        self._name = name
        self._log = log
        self._lines: list[str] = []

    def hear(self, line: str, *, grave: bool) -> None:
        if grave:
            self._lines.append(line)
        self._log(line)

    def given(self, make: Callable[[], Any], step: str) -> Any:
        """What `make` returns, which must not be None; pybind11 raises where a constructor has none to give.

        Raises:
            ModelError: the step failed.
        """
        try:
            value = make()
        except (TypeError, RuntimeError, ValueError, MemoryError) as cause:
            raise self.failure(step, str(cause)) from cause
        if value is None:
            raise self.failure(step)
        return value

    def failure(self, step: str, reason: str = "") -> ModelError:
        lines = [line for line in (reason, *self._lines[-_TOLD_LINES:]) if line]
        told = " | ".join(lines) or "it gave no reason"
        return ModelError(f"TensorRT could not build the engine of {self._name}, {step} failed: {told}")


def _logger(trt: Any, said: _Said) -> Any:
    grave = {trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR}
    told = {*grave, trt.ILogger.Severity.WARNING}

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity in told:
                said.hear(str(msg), grave=severity in grave)

    return Logger()


def _parser_errors(parser: Any) -> str:
    told = []
    for number in range(parser.num_errors):
        error = parser.get_error(number)
        if error is not None:
            operator = error.node_operator()
            where = f"{operator} {error.node_name()}: ".replace(" :", ":") if operator else ""
            told.append(f"{where}{error.desc()}")
    return " | ".join(told) or "it gave no reason"


def _set_profile(builder: Any, network: Any, config: Any, request: BuildRequest, said: _Said) -> None:
    samples = request.samples
    profile = None
    for number in range(network.num_inputs):
        tensor = network.get_input(number)
        first, *rest = tuple(tensor.shape)
        if -1 in rest:
            raise ModelError(
                f"Input {tensor.name} of {request.name} has shape {[first, *rest]}; only its first axis may vary."
            )
        if first != -1:
            continue
        if profile is None:
            profile = said.given(builder.create_optimization_profile, "create_optimization_profile")
        shapes = [(rows, *rest) for rows in (samples.least, samples.best, samples.most)]
        try:
            profile.set_shape(tensor.name, *shapes)
        except ValueError as cause:
            raise said.failure("set_shape", f"{tensor.name} {shapes}: {cause}") from cause
    if profile is not None and config.add_optimization_profile(profile) < 0:
        raise said.failure("add_optimization_profile", f"T from {samples.least} to {samples.most}")


def _load_timing_cache(config: Any, path: Path, log: Log) -> None:
    """Hand the kept measurements over; a build can do without them."""
    kept = _read_timing_cache(path)
    # Another TensorRT's or another GPU's are refused: then measure again rather than believe them.
    for content in (kept, b"") if kept else (b"",):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):
            return
    log("TensorRT takes no timing cache; every kernel is measured anew")


def _keep_timing_cache(config: Any, path: Path, log: Log) -> None:
    """Add what this build measured to the file; a build that has its plan does not fail for it."""
    cache = config.get_timing_cache()
    if cache is None:
        return
    others = _read_timing_cache(path)
    if others:
        # Another build may have written since this one read.
        newer = config.create_timing_cache(others)
        if newer is not None:
            cache.combine(newer, False)
    serialized = cache.serialize()
    if serialized is None:
        return
    content = bytes(serialized)
    try:
        write_atomic(path, hashlib.sha256(content).digest() + content)
    except OSError as cause:
        log(f"the timing cache {path} could not be written: {cause.strerror or cause}")


def _read_timing_cache(path: Path) -> bytes:
    """The cache after its sha256, with which the file begins; empty when there is none or it was altered."""
    try:
        content = path.read_bytes()
    except OSError:
        return b""
    kept = content[_DIGEST_BYTES:]
    return kept if hashlib.sha256(kept).digest() == content[:_DIGEST_BYTES] else b""
