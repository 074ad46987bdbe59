"""ONNX Runtime sessions for judging graphs: on the CPU, at a chosen optimisation level."""

from __future__ import annotations

import onnxruntime as ort


def cpu_session(model: bytes, *, optimise: bool = True, threads: int = 0) -> ort.InferenceSession:
    """Load a graph.

    Args:
        model: the content of a `model.onnx`.
        optimise: at level all; False switches every optimisation off.
        threads: of one inference; 0 leaves it to ONNX Runtime.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = (
        ort.GraphOptimizationLevel.ORT_ENABLE_ALL if optimise else ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    )
    options.intra_op_num_threads = threads
    # PyTorch's threads beside spinning ones slow both.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
