from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from small_networks import Small
from small_plans import PLAN, QUICK, export

from emomusic_edge.errors import ModelError
from emomusic_edge.export.pictures import PictureSets
from emomusic_edge.export.pipeline import ExportPlan, export_network
from emomusic_edge.export.precision.lower import Lowering
from emomusic_edge.export.report import Steps
from emomusic_edge.manifest import read_bundle, read_manifest
from emomusic_edge.parity_record import parse_parity_record


def test_a_network_becomes_a_bundle_that_has_passed_its_gates(
    small_scene: Small, scenes: PictureSets, tmp_path: Path
) -> None:
    lines: list[str] = []
    report = export_network(small_scene.network, PLAN, scenes, tmp_path / "b", Lowering(tmp_path), Steps(lines.append))
    manifest, content = read_bundle(tmp_path / "b")
    assert manifest == report.manifest
    assert content == small_scene.graph.SerializeToString(deterministic=True)
    assert [(gate.name, gate.state) for gate in manifest.gates] == [
        (name, "passed") for name in ("contract", "parity", "distribution", "preprocessing")
    ]
    assert not manifest.forced
    assert manifest.mc_dropout is not None
    assert [(b.name, b.width) for b in manifest.mc_dropout.layout] == [
        ("features", 48),
        ("valence_hidden_1", 256),
        ("valence_hidden_2", 128),
        ("arousal_hidden_1", 256),
        ("arousal_hidden_2", 128),
    ]
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["manifest.json", "model.onnx", "parity.json"]
    record = parse_parity_record((tmp_path / "b" / "parity.json").read_bytes())
    assert len(record.kept) == 20
    assert len(lines) == len(report.seconds)
    assert [line[:6] for line in lines if line.startswith("Gate")] == ["Gate 1", "Gate 2", "Gate 3", "Gate 4"]
    told = json.loads(report.to_json())
    assert told["manifest"]["gates"][1]["figures"]["sampled_max_abs_at_level_all"] < 1e-4
    assert set(told["seconds"]) >= {"export", "gate parity", "write"}
    assert told["versions"]["torch"].startswith("2.")


def test_the_bundle_runs_in_the_runtime_as_the_seed_model_answers(
    small_scene: Small, scenes: PictureSets, tmp_path: Path
) -> None:
    """From checkpoint to estimate: 64 frozen masks scatter around the model's own mean."""
    import torch

    from emomusic_edge.preprocess import prepare
    from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
    from emomusic_edge.runtime.predictors import AffectPredictor

    export(small_scene, scenes, tmp_path / "b", QUICK)
    manifest, content = read_bundle(tmp_path / "b")
    predictor = AffectPredictor(OrtEngine(content, name=manifest.name), manifest, samples=128)
    for picture in scenes.held[:4]:
        estimate = predictor.predict(picture)
        pixels = small_scene.network.normalised(torch.from_numpy(prepare(picture, manifest.image)))
        with torch.no_grad():
            expected = small_scene.seed_model.eval()(pixels).numpy()[0]
        error = np.sqrt(np.array(estimate.variance) / 128)
        assert (np.abs(np.array(estimate.mean) - expected) < 6 * error + 0.05).all()


def test_a_failed_gate_writes_nothing_and_leaves_what_was_there(
    small_scene: Small, scenes: PictureSets, tmp_path: Path
) -> None:
    export(small_scene, scenes, tmp_path / "b", QUICK)
    before = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    wrong = dataclasses.replace(QUICK, transform="opencv", gates=("contract", "parity", "preprocessing"))
    broken = _with_wrong_transform(wrong)
    with pytest.raises(ModelError, match="was not written, 1 of its gates failed") as caught:
        export(small_scene, scenes, tmp_path / "b", broken)
    assert "preprocessing" in str(caught.value)
    assert "--force" in caught.value.mend
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_force_writes_it_and_the_manifest_says_so(small_scene: Small, scenes: PictureSets, tmp_path: Path) -> None:
    plan = dataclasses.replace(QUICK, gates=("contract", "preprocessing"), force=True)
    report = export(small_scene, scenes, tmp_path / "b", _with_wrong_transform(plan))
    manifest = read_manifest(tmp_path / "b")
    assert manifest.forced
    assert manifest == report.manifest
    assert [gate.state for gate in manifest.gates] == ["passed", "failed"]


def test_force_leaves_no_mark_on_a_bundle_that_passes(small_scene: Small, scenes: PictureSets, tmp_path: Path) -> None:
    export(small_scene, scenes, tmp_path / "b", dataclasses.replace(QUICK, force=True))
    assert not read_manifest(tmp_path / "b").forced


@pytest.fixture(autouse=True)
def _rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host rule that does not fit training's transform, under a name of its own."""
    from emomusic_edge.export import training_transform

    monkeypatch.setitem(training_transform.HOST_RULES, "torchvision", training_transform.HostRule("bilinear", "none"))


def _with_wrong_transform(plan: ExportPlan) -> ExportPlan:
    return dataclasses.replace(plan, transform="torchvision")
