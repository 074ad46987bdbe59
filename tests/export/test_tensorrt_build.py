"""The build, on strict fakes of TensorRT 10.3, 10.16 and 11."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from stub_models import MASK_WIDTH, mc_dropout_graph
from tensorrt_fake import MAGIC, NAMES, VERSIONS, FakeTensorRT

from emomusic_edge.errors import ModelError
from emomusic_edge.export.tensorrt.build import BuildRequest, SampleRange, build_engine
from emomusic_edge.export.tensorrt.process import build
from emomusic_edge.paths import packaged_bundle


@pytest.fixture(params=VERSIONS)
def trt(request: pytest.FixtureRequest) -> FakeTensorRT:
    return FakeTensorRT(request.param)


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(mc_dropout_graph().SerializeToString())
    return path


def refused(trt: FakeTensorRT, path: Path, request: BuildRequest | None = None) -> str:
    with pytest.raises(ModelError) as told:
        build_engine(trt, path, request or BuildRequest("face-x"))
    return str(told.value)


def test_an_engine_is_built_with_its_range_of_samples(trt: FakeTensorRT, stub: Path) -> None:
    said: list[str] = []
    request = BuildRequest("face-x", SampleRange(1, 64, 128), workspace_bytes=512 << 20)
    plan = build_engine(trt, stub, request, said.append)
    assert plan.startswith(MAGIC)
    (built,) = trt.builds_
    assert built.profile == {"masks": [[1, MASK_WIDTH], [64, MASK_WIDTH], [128, MASK_WIDTH]]}
    assert built.memory == {"WORKSPACE": 512 << 20}
    assert said


def test_a_graph_without_masks_needs_no_profile(trt: FakeTensorRT) -> None:
    build_engine(trt, packaged_bundle("scene-starter") / "model.onnx", BuildRequest("scene-starter"))
    assert trt.builds_[0].profile == {}
    assert trt.builds_[0].memory == {}


def test_only_names_that_all_versions_have_are_asked_for(stub: Path, tmp_path: Path) -> None:
    for version in VERSIONS:
        trt = FakeTensorRT(version)
        for _ in range(2):
            build_engine(trt, stub, BuildRequest("x", workspace_bytes=1, timing_cache=tmp_path / "cache"))
        assert len(trt.asked_) > 20
        for asked in trt.asked_:
            owner, _, name = asked.partition(".")
            assert all(name in NAMES[v][owner] for v in VERSIONS if owner in NAMES[v]), asked


def test_the_fake_refuses_what_a_version_lacks(trt: FakeTensorRT) -> None:
    with pytest.raises(AttributeError):
        trt.Nonsense  # noqa: B018
    with pytest.raises(AttributeError):
        trt.Builder.build_engine_from_nothing  # noqa: B018
    with pytest.raises(AttributeError):
        trt.MemoryPoolType.HOST  # noqa: B018
    assert hasattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH") == (trt.__version__ < "11")
    assert hasattr(trt.BuilderFlag, "FP16") == (trt.__version__ < "11")


def test_every_error_of_the_parser_is_told(trt: FakeTensorRT, tmp_path: Path) -> None:
    graph = mc_dropout_graph()
    graph.graph.node.append(helper.make_node("Bernoulli", ["masks"], ["coins"], name="/drop/coins"))
    graph.graph.node.append(helper.make_node("Nonsense", ["masks"], ["nothing"], name="/odd"))
    path = tmp_path / "model.onnx"
    path.write_bytes(graph.SerializeToString())
    told = refused(trt, path)
    assert trt.__version__ in told
    assert "face-x" in told
    assert "Bernoulli /drop/coins: no importer" in told
    assert "Nonsense /odd: no importer" in told


def test_what_is_no_model_is_told(trt: FakeTensorRT, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\xff" * 50)
    assert "Failed to parse" in refused(trt, path)


def test_an_axis_that_may_not_vary_is_told(trt: FakeTensorRT, tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["out"])],
        "open",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, "H", 8, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph), path)
    assert "only its first axis may vary" in refused(trt, path)


FAULTS: list[tuple[str, Any]] = [
    ("Builder", None),
    ("Builder.create_network", None),
    ("OnnxParser", None),
    ("OnnxParser.parse_from_file", False),
    ("Builder.create_builder_config", None),
    ("Builder.create_optimization_profile", None),
    ("IOptimizationProfile.set_shape", ValueError("inconsistent")),
    ("IBuilderConfig.add_optimization_profile", -1),
    ("Builder.build_serialized_network", None),
    ("Builder.build_serialized_network", RuntimeError("CUDA error 2")),
]


@pytest.mark.parametrize(("where", "answer"), FAULTS, ids=[f"{where} {answer}" for where, answer in FAULTS])
def test_each_failure_is_an_error_that_names_the_bundle(
    trt: FakeTensorRT, stub: Path, tmp_path: Path, where: str, answer: Any
) -> None:
    trt.faults_[where] = answer
    told = refused(trt, stub, BuildRequest("face-x", timing_cache=tmp_path / "cache"))
    assert "face-x" in told
    assert where.split(".")[-1] in told or "refuses the graph" in told


def test_what_tensorrt_logged_is_told_with_the_failure(trt: FakeTensorRT, stub: Path) -> None:
    trt.faults_["IBuilderConfig.add_optimization_profile"] = 0
    assert "no optimization profile" in refused(trt, stub)


def test_a_none_for_a_parser_error_is_no_crash(trt: FakeTensorRT, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"junk")
    trt.faults_["OnnxParser.get_error"] = None
    assert "no reason" in refused(trt, path)


# The timing cache


def entries(path: Path) -> list[str]:
    content = path.read_bytes()
    assert hashlib.sha256(content[32:]).digest() == content[:32]
    return list(json.loads(content[32:])["entries"])


def test_measurements_are_kept_and_used_again(trt: FakeTensorRT, stub: Path, tmp_path: Path) -> None:
    cache = tmp_path / "folder" / "timing.cache"
    build_engine(trt, stub, BuildRequest("x", timing_cache=cache))
    first = entries(cache)
    scene = packaged_bundle("scene-starter") / "model.onnx"
    build_engine(trt, scene, BuildRequest("y", timing_cache=cache))
    assert set(first) < set(entries(cache))


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        ("IBuilderConfig.create_timing_cache", None),
        ("IBuilderConfig.set_timing_cache", False),
        ("IBuilderConfig.get_timing_cache", None),
        ("ITimingCache.serialize", None),
    ],
)
def test_a_build_can_do_without_a_timing_cache(
    trt: FakeTensorRT, stub: Path, tmp_path: Path, where: str, answer: Any
) -> None:
    trt.faults_[where] = answer
    assert build_engine(trt, stub, BuildRequest("x", timing_cache=tmp_path / "timing.cache"))
    assert not (tmp_path / "timing.cache").exists()


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 100], ids=["empty", "short", "long"])
def test_an_altered_timing_cache_never_reaches_tensorrt(
    trt: FakeTensorRT, stub: Path, tmp_path: Path, content: bytes
) -> None:
    cache = tmp_path / "timing.cache"
    cache.write_bytes(content)
    build_engine(trt, stub, BuildRequest("x", timing_cache=cache))
    assert len(entries(cache)) == 1


def test_a_timing_cache_of_another_version_is_replaced(stub: Path, tmp_path: Path) -> None:
    cache = tmp_path / "timing.cache"
    for version in VERSIONS:
        build_engine(FakeTensorRT(version), stub, BuildRequest("x", timing_cache=cache))
        assert entries(cache) == [f"{version}-stub"]


def test_what_another_build_measured_meanwhile_is_not_lost(trt: FakeTensorRT, stub: Path, tmp_path: Path) -> None:
    cache = tmp_path / "timing.cache"

    def meanwhile(line: str) -> None:
        if "kernels" in line and not cache.exists():
            content = json.dumps({"by": trt.__version__, "entries": ["other"]}).encode()
            cache.write_bytes(hashlib.sha256(content).digest() + content)

    build_engine(trt, stub, BuildRequest("x", timing_cache=cache), meanwhile)
    assert "other" in entries(cache)
    assert len(entries(cache)) == 2


def test_a_cache_that_cannot_be_written_does_not_cost_the_engine(trt: FakeTensorRT, stub: Path, tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "file").write_text("")
    cache = tmp_path / "file" / "timing.cache"
    assert build_engine(trt, stub, BuildRequest("x", timing_cache=cache), said.append)
    assert any("could not be written" in line for line in said)


# The process's own work


def test_the_process_answers_with_hash_and_version(
    trt: FakeTensorRT, stub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = {
        "name": "x",
        "onnx": str(stub),
        "plan": str(tmp_path / "engine.plan"),
        "samples": [1, 20, 32],
        "workspace_bytes": None,
        "timing_cache": None,
    }
    answer = build(job, trt)
    assert answer == {
        "plan_sha256": hashlib.sha256((tmp_path / "engine.plan").read_bytes()).hexdigest(),
        "tensorrt": trt.__version__,
    }
    assert all("progress" in json.loads(line) for line in capsys.readouterr().out.splitlines())
