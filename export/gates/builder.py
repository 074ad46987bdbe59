"""Gate 6: a TensorRT parser and builder takes the graph.

On a machine without GPU that is TensorRT for RTX, where it is installed, here or in an environment of its own; on the
device `emomusic-edge export engine` is this gate.
"""

from __future__ import annotations

import importlib.util
import os
import sys

from emomusic_edge.errors import ModelError
from emomusic_edge.export.tensorrt.rtx import PYTHON_VARIABLE, accepted_by
from emomusic_edge.manifest import GateRecord

NOT_HERE = (
    "no TensorRT for RTX here (pip install tensorrt-rtx==1.7.1.116, or "
    f"{PYTHON_VARIABLE}=/path/to/python); `emomusic-edge export engine` is this gate on the device"
)


def rtx_python() -> str | None:
    """The interpreter that has TensorRT for RTX: the one that is named, else this one; None where there is none."""
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        return named
    return sys.executable if importlib.util.find_spec("tensorrt_rtx") else None


def builder_gate(model: bytes, name: str) -> GateRecord:
    """Have the graph parsed and built, in a process of its own.

    Args:
        model: the content of a `model.onnx`.
        name: the bundle's, for messages.
    """
    python = rtx_python()
    if python is None:
        return GateRecord(name="builder", state="not run", told=NOT_HERE)
    try:
        found = accepted_by(python, model, name=name)
    except ModelError as error:
        return GateRecord(name="builder", state="failed", told=" ".join(str(error).split())[:500])
    return GateRecord(
        name="builder",
        state="passed",
        told=f"{found['tensorrt']} parsed and built it: {found['plan_bytes'] / 1e6:.1f} MB",
        figures={"plan_mb": found["plan_bytes"] / 1e6},
    )
