"""Has an engine built in a process of its own: the bytes of a model in, a hash-checked plan out."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emomusic_edge.artefacts import read_verified
from emomusic_edge.errors import ModelError
from emomusic_edge.own_process import run_in_own_process

from .build import SampleRange

PROCESS = "emomusic_edge.export.tensorrt.process"
DEFAULT_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class BuildJob:
    """What the process is told, as JSON.

    Attributes:
        name: the bundle's.
        onnx: the model's file.
        plan: where to write the engine.
        samples: fewest, best and most T.
        workspace_bytes: see BuildRequest.
        timing_cache: see BuildRequest.
    """

    name: str
    onnx: str
    plan: str
    samples: tuple[int, int, int]
    workspace_bytes: int | None = None
    timing_cache: str | None = None


@dataclass(frozen=True, slots=True)
class BuiltEngine:
    """A plan, its sha256 and the version of the TensorRT that built it."""

    plan: bytes
    sha256: str
    tensorrt: str


def build_in_own_process(
    model: bytes,
    name: str,
    samples: SampleRange,
    *,
    workspace_bytes: int | None = None,
    timing_cache: Path | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    progress: Callable[[str], None] = lambda line: None,
) -> BuiltEngine:
    """Build the engine of a model.

    Args:
        model: the content of `model.onnx`, hash-checked by the caller: these bytes are what is parsed.
        name: the bundle's, for messages.
        samples: the range of T.
        workspace_bytes: scratch memory that a kernel may take; None leaves it to TensorRT.
        timing_cache: measurements shared with other builds; None keeps none.
        timeout_s: after this long the build is ended.
        progress: gets each line of progress.

    Raises:
        ModelError: the build failed, crashed or took too long.
    """
    with tempfile.TemporaryDirectory(prefix="emomusic-engine-") as scratch:
        folder = Path(scratch)
        job = BuildJob(
            name=name,
            onnx=str(folder / "model.onnx"),
            plan=str(folder / "engine.plan"),
            samples=(samples.least, samples.best, samples.most),
            workspace_bytes=workspace_bytes,
            timing_cache=None if timing_cache is None else str(timing_cache.resolve()),
        )
        (folder / "model.onnx").write_bytes(model)
        (folder / "job.json").write_text(json.dumps(dataclasses.asdict(job)), encoding="utf-8")
        answer = run_in_own_process(
            PROCESS,
            [str(folder / "job.json")],
            what=f"Building the engine of {name}",
            timeout_s=timeout_s,
            progress=progress,
            mend_late="Give it longer: --timeout-s",
        )
        sha256 = str(answer["plan_sha256"])
        return BuiltEngine(read_verified(folder / "engine.plan", sha256, ModelError), sha256, str(answer["tensorrt"]))
