"""fp32 to fp16 by nvidia-modelopt's AutoCast, with LayerNorm and the statistics of the samples left in fp32.

AutoCast looks at what the calibration pictures give and leaves every node in fp32 that sees a number above 512, far
from fp16's 65504. ONNX Runtime's CPU kernels compute fp16 nodes in fp32 and round the results, so that what it measures
holds the rounding of weights and of most activations, but would not show an overflow: AutoCast's rule keeps that out.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from emomusic_edge.errors import ModelError

from .graph_parts import ones_masks, statistics_nodes, stripped
from .modelopt_env import ModeloptEnvironment

# CLIP's LayerNorms square numbers that overflow fp16.
KEPT_OPERATORS = ("LayerNormalization",)
_WORKER = Path(__file__).with_name("autocast_worker.py")
_TIMEOUT_S = 1800.0


def fp16_from_fp32(
    model: onnx.ModelProto, images: Sequence[NDArray[np.uint8]], environment: ModeloptEnvironment
) -> onnx.ModelProto:
    """Cast a graph to fp16 in a process of its own.

    Args:
        model: as onnx_from_network gives it; not changed.
        images: calibration pictures, uint8 [1, H, W, 3] as `prepare` gives them.
        environment: from modelopt_environment.

    Returns:
        The graph with the same inputs, outputs and opset, its inner values fp16 but for what the module's line names.

    Raises:
        ModelError: there is no picture, or modelopt fails.
        MissingExtraError: modelopt lacks a package.
    """
    if not images:
        raise ModelError("fp16 needs pictures to calibrate with, none was given.")
    with tempfile.TemporaryDirectory(prefix="emomusic-edge-") as scratch:
        folder = Path(scratch)
        (folder / "calibration").mkdir()
        # Dropout masks only take activations away or scale them by 1 / (1 - p): ones are the full signal.
        masks = ones_masks(model.graph)
        for number, image in enumerate(images):
            np.savez(folder / "calibration" / f"{number:04d}.npz", image=image, masks=masks)
        onnx.save(model, folder / "fp32.onnx")
        job = {
            "model": str(folder / "fp32.onnx"),
            "calibration": str(folder / "calibration"),
            "target": str(folder / "fp16.onnx"),
            "nodes": [node.name for node in statistics_nodes(model.graph)],
            "operators": list(KEPT_OPERATORS),
            "opset": next(entry.version for entry in model.opset_import if entry.domain == ""),
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        environment.run(_WORKER, [str(folder / "job.json")], _TIMEOUT_S)
        try:
            cast = onnx.load(folder / "fp16.onnx")
        except OSError as cause:
            raise ModelError("modelopt ended well, but wrote no graph.") from cause
    return stripped(cast, model)
