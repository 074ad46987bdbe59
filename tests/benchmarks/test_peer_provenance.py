"""What was measured is known: other code exports anew, models are told by their hash, a checkout by its commit."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from side_by_side.provenance import code_digest, model_hashes, only_folder, revision
from stub_models import mc_dropout_graph, mc_dropout_manifest

from emomusic_edge.export.bundle import write_bundle


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "export" / "inner").mkdir(parents=True)
    (tmp_path / "export" / "a.py").write_text("a = 1\n")
    (tmp_path / "export" / "inner" / "b.py").write_text("b = 2\n")
    return tmp_path / "export"


def test_the_digest_is_of_names_and_contents_of_python_files(code: Path, tmp_path: Path) -> None:
    before = code_digest([code])
    (code / "notes.md").write_text("no code")
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    assert code_digest([code]) == before
    link = tmp_path / "linked" / "export"
    link.parent.mkdir()
    link.symlink_to(code)
    assert code_digest([link]) == before
    (code / "inner" / "b.py").write_text("b = 3\n")
    edited = code_digest([code])
    (code / "inner" / "b.py").rename(code / "b.py")
    assert len({before, edited, code_digest([code])}) == 3


def test_a_single_file_counts_too(code: Path, tmp_path: Path) -> None:
    network = tmp_path / "network.py"
    network.write_text("layers = 1\n")
    before = code_digest([code, network])
    network.write_text("layers = 2\n")
    assert code_digest([code, network]) != before
    assert code_digest([code, network]) != code_digest([code])


def test_only_the_folder_of_the_key_stays(tmp_path: Path) -> None:
    root = tmp_path / "bench"
    (root / "0.1.0" / "scene-reference").mkdir(parents=True)
    (root / "note.txt").write_text("a file")
    kept = only_folder(root, "0.1.0-abc")
    (kept / "scene-reference").mkdir()
    assert only_folder(root, "0.1.0-abc") == kept
    assert sorted(path.name for path in root.iterdir()) == ["0.1.0-abc", "note.txt"]
    assert (kept / "scene-reference").is_dir()


@pytest.mark.parametrize("two_forms", [False, True])
def test_a_bundle_is_told_by_the_hash_of_the_file_that_a_processor_runs(tmp_path: Path, two_forms: bool) -> None:
    graph, other = mc_dropout_graph(), mc_dropout_graph()
    other.graph.name = "for processors"
    write_bundle(tmp_path / "b", graph, mc_dropout_manifest(), for_cpu=other if two_forms else None)
    runs = tmp_path / "b" / ("model.cpu.onnx" if two_forms else "model.onnx")
    assert model_hashes({"face-int8": tmp_path / "b"}) == {"face-int8": hashlib.sha256(runs.read_bytes()).hexdigest()}


def test_a_revision_is_that_of_a_checkout_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # no checkout above the folder may answer for it
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    checkout = tmp_path / "checkout"
    (checkout / "inner").mkdir(parents=True)
    assert revision(checkout) is None

    def git(*words: str) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        return subprocess.run(
            ["git", *who, *words], cwd=checkout, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init")
    assert revision(checkout) is None
    (checkout / "inner" / "file").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert revision(checkout) == commit
    assert revision(checkout / "inner") is None
    (checkout / "new").write_text("2")
    assert revision(checkout) == f"{commit}+dirty"


def test_without_git_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision(tmp_path) is None
