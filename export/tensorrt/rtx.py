"""Whether a TensorRT parser and builder accept a graph, on a machine without a GPU: TensorRT for RTX as the gate.

`tensorrt_rtx` is a wheel whose builder needs no driver. It cannot run what it builds here, and its parser is nearer to
TensorRT 11's than to 10.3's. It may live in an environment of its own, that of another interpreter:
`python -m emomusic_edge.export.tensorrt.rtx MODEL.onnx` prints the answer as a JSON line. No other module imports it,
and none uses its names beyond the common ones.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emomusic_edge.errors import ModelError
from emomusic_edge.own_process import answer_with, run_in_own_process, tell_progress

from .build import BuildRequest, build_engine

PROCESS = "emomusic_edge.export.tensorrt.rtx"
# The environment variable that names an interpreter which has the wheel.
PYTHON_VARIABLE = "TENSORRT_RTX_PYTHON"
_TIMEOUT_S = 900.0


def accepts(
    trt: Any, model: bytes, *, name: str = "the model", log: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Parse and build a graph.

    Args:
        trt: the `tensorrt_rtx` module.
        model: the content of a `model.onnx`.
        name: the bundle's, for messages.
        log: gets lines of progress.

    Returns:
        `tensorrt`, the version, and `plan_bytes`, the size of the engine it built.

    Raises:
        ModelError: it is refused; the message has every error of the parser.
    """
    with tempfile.TemporaryDirectory(prefix="emomusic-engine-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        return _accepted(trt, path, name, log)


def accepted_by(python: str, model: bytes, *, name: str = "the model") -> dict[str, Any]:
    """The same as `accepts`, by another interpreter that has the wheel.

    Args:
        python: the interpreter's path.
        model: the content of a `model.onnx`.
        name: the bundle's, for messages.

    Raises:
        ModelError: it is refused, or the interpreter or the wheel is not there.
    """
    with tempfile.TemporaryDirectory(prefix="emomusic-engine-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        return run_in_own_process(
            PROCESS, [str(path), name], what=f"Trying {name} on TensorRT", timeout_s=_TIMEOUT_S, python=python
        )


def _accepted(trt: Any, path: Path, name: str, log: Callable[[str], None]) -> dict[str, Any]:
    def for_some_gpu(config: Any) -> None:
        # Nearest to an Orin's 8.7 that the wheel offers.
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM86, 0)

    plan = build_engine(trt, path, BuildRequest(name), log, for_some_gpu)
    return {"tensorrt": f"TensorRT for RTX {trt.__version__}", "plan_bytes": len(plan)}


def _tensorrt_rtx() -> Any:
    try:
        import tensorrt_rtx
    except ImportError as cause:
        raise ModelError(
            f"{sys.executable} has no TensorRT for RTX: {cause}.", mend="pip install tensorrt-rtx==1.7.1.116"
        ) from cause
    return tensorrt_rtx


def _main() -> dict[str, Any]:
    path, *name = sys.argv[1:]
    return _accepted(_tensorrt_rtx(), Path(path).resolve(), name[0] if name else Path(path).name, tell_progress)


if __name__ == "__main__":
    sys.exit(answer_with(_main))
