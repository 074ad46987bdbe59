"""The process that an engine is built in: `python -m emomusic_edge.export.tensorrt.process JOB.json`.

The job is the JSON of an isolated.BuildJob; the plan is written beside the model, the answer names its hash and the
TensorRT that built it. The one module of the exporter that imports TensorRT.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emomusic_edge.errors import ModelError
from emomusic_edge.own_process import answer_with, tell_progress

from .build import BuildRequest, SampleRange, build_engine


def build(job: Mapping[str, Any], trt: Any = None) -> dict[str, Any]:
    """Do a job.

    Args:
        job: see isolated.BuildJob.
        trt: the TensorRT module; None imports the one of this environment.

    Returns:
        `plan_sha256` and `tensorrt`, its version.

    Raises:
        ModelError: there is no TensorRT, or the build failed.
    """
    trt = trt or _tensorrt()
    timing_cache = job["timing_cache"]
    request = BuildRequest(
        name=job["name"],
        samples=SampleRange(*job["samples"]),
        workspace_bytes=job["workspace_bytes"],
        timing_cache=None if timing_cache is None else Path(timing_cache),
    )
    plan = build_engine(trt, Path(job["onnx"]), request, tell_progress)
    Path(job["plan"]).write_bytes(plan)
    return {"plan_sha256": hashlib.sha256(plan).hexdigest(), "tensorrt": str(trt.__version__)}


def _tensorrt() -> Any:
    try:
        import tensorrt
    except ImportError as cause:
        raise ModelError(
            f"TensorRT's Python bindings are not in this environment: {cause}.",
            mend="They come with JetPack; make the environment with: python3 -m venv --system-site-packages .venv",
        ) from cause
    return tensorrt


if __name__ == "__main__":
    sys.exit(answer_with(lambda: build(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
