"""The GPU, its driver and TensorRT; on a Jetson its system, JetPack and power mode."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from emomusic_edge.cuda_probe import Gpu, probe_cuda
from emomusic_edge.errors import EmomusicError
from emomusic_edge.runtime.engines.tensorrt import import_tensorrt

from .finding import About, Finding
from .setup import Setup
from .system import Told, text_of, told_by

# What copies to the GPU for TensorRT; one of them is enough.
_COPYING = ("pycuda", "cuda.bindings", "cuda.cuda")

_about = About("gpu")


def look(
    setup: Setup,
    *,
    probe: Callable[[], Gpu | str] = probe_cuda,
    tensorrt: Callable[[], Any] = import_tensorrt,
    told: Told = told_by,
    root: Path = Path("/"),
) -> Iterator[Finding]:
    """What a model could run on beside the processor, and how the board is set.

    Args:
        setup: the engine that is wished for.
        probe: asks the driver.
        tensorrt: gives the module; not called without a GPU, where it may end the process.
        told: what a command prints.
        root: where `etc` and `proc` lie.
    """
    yield from _board(told, root)
    gpu = probe()
    engine = setup.settings.models.engine
    if isinstance(gpu, str):
        if engine in ("tensorrt", "cuda"):
            yield _about.warning(
                "cuda",
                f"{gpu}, and models.engine asks for {engine}",
                meaning="The models run on the processor.",
                mend='Start a container with the NVIDIA runtime, or set models.engine = "auto"',
            )
        else:
            yield _about.ok("cuda", f"{gpu}: the processor runs the models, which is enough for the starter ones")
        return
    yield _about.ok(
        "cuda",
        f"{gpu.device}, compute capability {gpu.compute_capability}, {gpu.platform}",
        device=gpu.device,
        compute_capability=gpu.compute_capability,
        cuda=gpu.cuda,
        l4t=gpu.l4t,
    )
    if engine != "cpu":
        yield _tensorrt(tensorrt)


def _board(told: Told, root: Path) -> Iterator[Finding]:
    release = text_of(root / "etc/nv_tegra_release")
    if release is None:
        return
    model = (text_of(root / "proc/device-tree/model") or "a Jetson").strip("\0\n ")
    l4t = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", release)
    system = f"L4T {l4t[1]}.{l4t[2]}" if l4t else "an L4T of unknown release"
    jetpack = told(["dpkg-query", "--show", "--showformat=${Version}", "nvidia-jetpack"])
    if jetpack:
        yield _about.ok("board", f"{model}, {system}, JetPack {jetpack}", model=model, jetpack=jetpack)
    else:
        yield _about.warning(
            "board",
            f"{model}, {system}; the package nvidia-jetpack is not installed",
            meaning="CUDA and TensorRT may be missing or of another release. The processor runs the models without.",
            mend="sudo apt-get install nvidia-jetpack",
            model=model,
            jetpack=None,
        )
    mode = re.search(r"Power Mode:\s*(\S+)", told(["nvpmodel", "-q"]) or "")
    if mode is None:
        yield _about.warning(
            "power",
            "the power mode cannot be read",
            meaning="In a mode of few watts the board works slower; the program then works on fewer frames a second.",
            mend="sudo nvpmodel -q",
            mode=None,
        )
    else:
        yield _about.ok(
            "power",
            f"power mode {mode[1]}",
            meaning="" if mode[1].startswith("MAXN") else "There may be a faster one: sudo nvpmodel -p --verbose",
            mode=mode[1],
        )


def _tensorrt(tensorrt: Callable[[], Any]) -> Finding:
    try:
        version = str(tensorrt().__version__)
    except EmomusicError as error:
        return _about.warning(
            "tensorrt",
            str(error),
            meaning="Models run on CUDA by ONNX Runtime where that can, else on the processor.",
            mend=error.mend,
            version=None,
        )
    copying = next((name for name in _COPYING if _is_here(name)), None)
    if copying is None:
        return _about.warning(
            "tensorrt",
            f"TensorRT {version}, but neither pycuda nor cuda-bindings",
            meaning="An engine of TensorRT cannot be run without one of them.",
            mend="pip install 'emomusic-edge[tensorrt]'   (JetPack 6: 'cuda-bindings==12.9.*', JetPack 7: '==13.*')",
            version=version,
        )
    return _about.ok("tensorrt", f"TensorRT {version} with {copying}", version=version)


def _is_here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False
