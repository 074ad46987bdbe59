"""Gate 6 with TensorRT's real parser and builder, in an environment of its own."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import onnx
import pytest

pytest.importorskip("torch")

from small_networks import Small
from small_plans import QUICK

from emomusic_edge.export.gates.builder import builder_gate
from emomusic_edge.export.pictures import PictureSets
from emomusic_edge.export.pipeline import export_network
from emomusic_edge.export.precision.lower import Lowering
from emomusic_edge.export.report import Steps
from emomusic_edge.paths import default_cache_dir

needs_rtx = pytest.mark.skipif(
    not os.environ.get("TENSORRT_RTX_PYTHON"), reason="TENSORRT_RTX_PYTHON names no interpreter (make rtx)"
)


@pytest.mark.peer
@needs_rtx
@pytest.mark.parametrize("precision", ["fp32", "int8", "fp16"])
@pytest.mark.parametrize("source", ["scene", "face"])
def test_tensorrt_builds_what_is_exported(
    source: str, precision: str, scenes: PictureSets, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    small: Small = request.getfixturevalue(f"small_{source}")
    plan = dataclasses.replace(
        QUICK,
        name=f"small-{source}",
        source=source,
        precision=precision,
        gates=("contract", "precision", "builder"),
        # the small networks have plain random weights, on which ranks say little
        force=True,
    )
    report = export_network(small.network, plan, scenes, tmp_path / "b", Lowering(default_cache_dir()), Steps())
    gates = {gate.name: gate for gate in report.manifest.gates}
    assert gates["builder"].state == "passed", gates["builder"].told
    assert gates["builder"].figures["plan_mb"] > 0.1
    assert ("precision" in gates) == (precision != "fp32")


@pytest.mark.peer
@needs_rtx
def test_what_tensorrt_refuses_fails_with_its_words(small_scene: Small) -> None:
    broken = onnx.ModelProto()
    broken.CopyFrom(small_scene.graph)
    for node in broken.graph.node:
        if node.op_type == "Softmax":
            node.op_type = "Bernoulli"
            del node.attribute[:]
    gate = builder_gate(broken.SerializeToString(), "broken")
    assert gate.state == "failed"
    assert "Bernoulli" in gate.told


def test_without_a_tensorrt_the_gate_is_told_as_not_run(small_scene: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENSORRT_RTX_PYTHON", raising=False)
    gate = builder_gate(small_scene.content, "small")
    assert gate.state == "not run"
    assert "export engine" in gate.told
