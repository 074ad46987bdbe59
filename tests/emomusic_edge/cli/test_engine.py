"""`export engine`, from the command line through both child processes to the store and back into the runtime."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import onnx
import onnx.external_data_helper
import pytest
import typer
from stub_models import write_mc_dropout_bundle
from tensorrt_fake import VERSIONS
from typer.testing import CliRunner

import emomusic_edge.cuda_probe
from emomusic_edge.cli.engine import build_and_keep, engine
from emomusic_edge.cuda_probe import Gpu, probe_cuda
from emomusic_edge.engine_store import EngineStore, StoredEngine, engine_key
from emomusic_edge.errors import ModelError
from emomusic_edge.export.tensorrt import isolated
from emomusic_edge.manifest import read_bundle, read_manifest
from emomusic_edge.paths import DataLayout

ORIN = Gpu("Orin", 8, "8.7", "12.6", "36.4.3")

# Runs in each child before anything else: a GPU and a TensorRT that are none.
SITE = """
import sys
import cuda_fake, tensorrt_fake
import emomusic_edge.cuda_probe as probe
import emomusic_edge.runtime.engines.cuda as cuda
sys.modules["tensorrt"] = tensorrt_fake.FakeTensorRT({version!r}, faults={faults!r})
probe.probe_cuda = lambda: probe.Gpu("Orin", 8, "8.7", "12.6", "36.4.3")
cuda.open_device = cuda_fake.FakeCudaDevice
{more}
"""
CRASH = "lambda *_: __import__('os').kill(__import__('os').getpid(), 11)"


class Device:
    """A machine with a GPU, as far as the children know."""

    def __init__(self, folder: Path, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._site = folder / "site"
        self._site.mkdir()
        python = self._site / "python"
        path = f"$PYTHONPATH:{self._site}:{repo / 'tests'}"
        python.write_text(f'#!/bin/sh\nPYTHONPATH="{path}" exec {sys.executable} "$@"\n')
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))
        monkeypatch.setattr(emomusic_edge.cuda_probe, "probe_cuda", lambda: ORIN)
        self.layout = DataLayout(folder / "data")
        monkeypatch.setenv("EMOMUSIC_PATHS__DATA_DIR", str(self.layout.root))
        write_mc_dropout_bundle(self.layout.bundle("face-stub"))
        self.has(VERSIONS[0])

    def has(self, version: str, *, faults: dict[str, object] | None = None, more: str = "") -> None:
        text = SITE.format(version=version, faults=faults or {}, more=more)
        (self._site / "sitecustomize.py").write_text(text)

    def kept(self, version: str = VERSIONS[0]) -> StoredEngine | str:
        key = engine_key(read_manifest(self.layout.bundle("face-stub")), ORIN, version)
        return EngineStore(self.layout.engines).find("face-stub", key, 64)


@pytest.fixture
def device(tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Device(tmp_path, repo, monkeypatch)


def typed(*arguments: str) -> str:
    app = typer.Typer()
    app.command("engine")(engine)
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_is_built_tried_and_kept(device: Device, version: str) -> None:
    device.has(version)
    told = json.loads(typed("face-stub", "--json", "--samples-max", "96", "--workspace-mb", "256"))
    assert told["tensorrt"] == version
    assert told["samples"] == [1, 64, 96]
    assert told["smoke"]["difference"] < 1e-5
    found = device.kept(version)
    assert isinstance(found, StoredEngine)
    assert str(found.folder) == told["folder"]
    assert found.record.smoke == told["smoke"]
    assert sorted(path.name for path in device.layout.engines.iterdir()) == ["face-stub", "timing-sm87.cache"]


def test_an_engine_that_no_run_would_take_is_refused(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="at most 32 samples would never be taken: a run asks for 64") as told:
        typed("face-stub", "--samples-max", "32")
    assert "--samples-max 64" in told.value.mend
    assert device.kept() == "face-stub has no engine yet"
    monkeypatch.setenv("EMOMUSIC_MODELS__SAMPLES", "100")
    with pytest.raises(ModelError, match="a run asks for 100, as models"):
        typed("face-stub", "--samples-max", "99")
    # what the run will ask for is what counts, not what the bundle would have
    monkeypatch.setenv("EMOMUSIC_MODELS__SAMPLES", "20")
    assert json.loads(typed("face-stub", "--json", "--samples-max", "32"))["samples"] == [1, 20, 32]


def test_what_is_parsed_are_the_bytes_that_were_checked(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def build(model: bytes, *_: object, **__: object) -> None:
        given.append(model)
        raise ModelError("enough")

    monkeypatch.setattr(isolated, "build_in_own_process", build)
    checked = read_bundle(device.layout.bundle("face-stub"))
    with pytest.raises(ModelError, match="enough"):
        typed("face-stub")
    assert given == [checked[1]]


def test_weights_in_another_file_never_reach_the_parser(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = device.layout.bundle("face-stub")
    model = onnx.load(bundle / "model.onnx")
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../../somebody's.bin")
    content = model.SerializeToString()
    (bundle / "model.onnx").write_bytes(content)
    manifest = read_manifest(bundle).model_copy(update={"files": {"model.onnx": hashlib.sha256(content).hexdigest()}})
    (bundle / "manifest.json").write_text(manifest.to_json())
    started: list[object] = []
    monkeypatch.setattr(isolated, "run_in_own_process", lambda *given, **_: started.append(given))
    assert "keeps weights in another file" in failure(device)
    assert started == []


def test_for_people_it_says_what_it_did(device: Device) -> None:
    said = " ".join(typed(str(device.layout.bundle("face-stub"))).split())
    assert "reading the graph" in said
    assert "ms an inference" in said
    assert "at most 0.02 max abs" in said


def failure(device: Device) -> str:
    store = EngineStore(device.layout.engines)
    with pytest.raises(ModelError) as told:
        build_and_keep(device.layout.bundle("face-stub"), ORIN, store, samples_max=128, timeout_s=60)
    assert device.kept() == "face-stub has no engine yet"
    return str(told.value)


def test_a_build_that_fails_keeps_nothing(device: Device) -> None:
    device.has(VERSIONS[0], faults={"Builder.build_serialized_network": None})
    assert "build_serialized_network failed" in failure(device)


def test_a_build_that_crashes_names_the_signal(device: Device) -> None:
    device.has(VERSIONS[0], more=f"tensorrt_fake.Builder.build_serialized_network = {CRASH}")
    assert "Building the engine of face-stub crashed with SIGSEGV" in failure(device)


def test_an_engine_that_crashes_when_it_is_tried_is_not_kept(device: Device) -> None:
    device.has(VERSIONS[0], more=f"tensorrt_fake.Runtime.deserialize_cuda_engine = {CRASH}")
    assert "Trying the engine of face-stub crashed with SIGSEGV" in failure(device)


def test_an_engine_that_fails_when_it_is_tried_is_not_kept(device: Device) -> None:
    device.has(VERSIONS[0], faults={"IExecutionContext.execute_async_v3": False})
    assert "execute_async_v3" in failure(device)


def test_an_altered_bundle_is_not_built(device: Device) -> None:
    model = device.layout.bundle("face-stub") / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    assert "is not the file its record describes" in failure(device)


@pytest.mark.skipif(isinstance(probe_cuda(), Gpu), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    app = typer.Typer()
    app.command("engine")(engine)
    done = CliRunner().invoke(app, ["scene-starter"])
    assert isinstance(done.exception, ModelError)
    assert done.exception.exit_code == 5
    assert "no NVIDIA driver was found" in str(done.exception)
    assert "Jetson" in done.exception.mend


def test_a_bundle_that_is_not_there(device: Device) -> None:
    with pytest.raises(ModelError, match="nobody"):
        typed("nobody")
