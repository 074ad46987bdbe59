"""Runs an engine with TensorRT: the one module of the runtime that imports it, and only after CUDA was probed.

Without a driver TensorRT's runtime ends the process with a segmentation fault; `import_tensorrt` therefore comes after
emomusic_edge.cuda_probe, always. Everything of one engine happens on one thread of its own, which callers wait for.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.errors import ModelError

from .cuda import CudaDevice, open_device
from .owner_thread import OwnerThread
from .tensorrt_session import InputError, TensorRTSession

# A first start loads CUDA's kernels from an SD card. The three models of a run, each loaded and run once, stay below
# TimeoutStartSec of systemd/emomusic-edge.service, or a GPU that hangs would end the start that it should only slow.
LOAD_TIMEOUT_S = 80.0
# A hundred times what a large model takes; a GPU that hangs does not come back.
RUN_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)
_LOGGER_TURN = threading.Lock()


def import_tensorrt() -> Any:
    """The `tensorrt` module.

    Raises:
        ModelError: it is not in this environment, or a library that it needs is not.
    """
    try:
        import tensorrt
    # A missing libnvinfer is an OSError where the package opens it by name, an ImportError where the linker does.
    except (ImportError, OSError) as cause:
        raise ModelError(
            f"TensorRT's Python bindings are not in this environment ({cause})",
            mend="They come with JetPack; make the environment with: python3 -m venv --system-site-packages .venv",
        ) from cause
    return tensorrt


class TensorRTEngine:
    """An engine behind contracts.InferenceEngine; any thread may call it, one call runs at a time."""

    def __init__(
        self,
        plan: bytes,
        *,
        name: str,
        trt: Any,
        device: Callable[[], CudaDevice] = open_device,
        run_timeout_s: float = RUN_TIMEOUT_S,
    ) -> None:
        """Load an engine.

        Args:
            plan: the serialized engine, hash-checked by the caller.
            name: the bundle's name, for messages.
            trt: what `import_tensorrt` gives.
            device: opens the GPU, called on the engine's own thread.
            run_timeout_s: an inference that takes longer counts as a lost GPU.

        Raises:
            ModelError: it does not load here.
        """
        self._name = name
        self._run_timeout_s = run_timeout_s
        self._version = str(trt.__version__)
        self._broken = ""
        self._closed = False
        self._owner = OwnerThread(f"TensorRT of {name}")
        try:
            self._session = self._owner.call(lambda: _load(trt, plan, name, device), LOAD_TIMEOUT_S)
        except BaseException:
            self._owner.end()
            raise

    @property
    def provider(self) -> str:
        """TensorRT and its version."""
        return f"TensorRT {self._version}"

    @property
    def input_names(self) -> tuple[str, ...]:
        """The engine's inputs."""
        return tuple(self._session.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The engine's outputs."""
        return tuple(self._session.outputs)

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> Mapping[str, NDArray[np.generic]]:
        """One inference.

        Args:
            inputs: an array for each input of the engine.

        Returns:
            An array for each output of the engine, all finite.

        Raises:
            ModelError: an input is missing or of another shape or dtype, an output is not finite, or TensorRT or the
                GPU failed. After such a failure every further call is refused: what a lost GPU does next is anybody's
                guess.
        """
        if self._broken:
            raise ModelError(
                f"Model {self._name} is not run again: {self._broken}",
                mend="Start again; if it comes back, set models.engine to cpu.",
            )
        if self._closed:
            raise ModelError(f"Model {self._name} was closed.")
        try:
            outputs = self._owner.call(lambda: self._session.run(inputs), self._run_timeout_s)
        except InputError:
            raise
        except Exception as cause:
            self._broken = str(cause) or type(cause).__name__
            if isinstance(cause, ModelError):
                raise
            raise ModelError(f"Model {self._name} failed: {self._broken}") from cause
        for name, values in outputs.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ModelError(f"Model {self._name} gave {name} with values that are not finite.")
        return outputs

    def close(self) -> None:
        """Give the GPU's memory back; harmless when it is closed."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._owner.stuck:
                self._owner.call(self._session.close, self._run_timeout_s)
        except Exception as error:  # noqa: BLE001 (nobody can do anything about it any more)
            _log.debug("closing model %s: %s", self._name, error)
        self._owner.end()


def _load(trt: Any, plan: bytes, name: str, device: Callable[[], CudaDevice]) -> TensorRTSession:
    with contextlib.ExitStack() as opened:
        try:
            gpu = device()
            opened.callback(gpu.close)
            session = TensorRTSession(trt, _logger(trt), plan, name, gpu)
        except ModelError:
            raise
        except Exception as cause:
            raise ModelError(f"Model {name}: its engine does not load: {str(cause) or type(cause).__name__}") from cause
        opened.pop_all()
        return session


def _logger(trt: Any) -> Any:
    """One for the process, never given back: TensorRT keeps the first it gets for all of its objects."""
    # A cache alone lets two threads that ask at once make two, and drops one that TensorRT may have kept.
    with _LOGGER_TURN:
        return _new_logger(trt)


@functools.cache
def _new_logger(trt: Any) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            grave = severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR)
            _log.log(logging.ERROR if grave else logging.DEBUG, "TensorRT: %s", msg)

    return Logger()
