"""The arrows of the design: runtime -> deam_index -> emomusic_edge <- export; one composition root; one name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDERS = ("emomusic_edge", "export", "runtime", "deam_index", "models")
# The command line stands outside the arrows: it starts what it is asked for, and nothing imports it.
MAY_IMPORT = {
    "emomusic_edge": set(),
    "models": set(),
    "deam_index": {"emomusic_edge"},
    "runtime": {"deam_index", "emomusic_edge"},
    "export": {"emomusic_edge"},
    "cli": {"emomusic_edge", "deam_index", "runtime", "export", "cli"},
}
# What only certain modules may import: the heavy, and what the runtime must never carry.
WRAPPED_BY = {
    "pygame": {"runtime/audio/sdl.py"},
    "mediapipe": {"runtime/faces/mediapipe_detector.py"},
    "paho": {"runtime/mqtt/client.py", "runtime/mqtt/connection.py", "runtime/mqtt/wake.py"},
    "tensorrt": {"runtime/engines/tensorrt.py", "export/tensorrt/process.py"},
    "tensorrt_rtx": {"export/tensorrt/rtx.py"},
    "pycuda": {"runtime/engines/pycuda_device.py"},
    "cuda": {"runtime/engines/cuda_python_device.py"},
    "jtop": {"runtime/bench/jetson.py"},
}
NEVER_IN_RUNTIME = {"torch", "pandas", "matplotlib", "transformers", "onnx", "tflite", "modelopt", "sklearn"}


def _modules(repo: Path) -> Iterator[tuple[str, Path]]:
    for folder in FOLDERS:
        for path in sorted((repo / folder).rglob("*.py")):
            inside = path.relative_to(repo).as_posix()
            if folder == "emomusic_edge" and inside.split("/")[1] in FOLDERS:
                continue  # the links
            yield inside, path


def _layer(module: str) -> str:
    """The layer that a path (`runtime/x.py`) or dotted name (`emomusic_edge.runtime.x`) belongs to."""
    parts = module.replace("/", ".").split(".")
    if parts[0] == "emomusic_edge" and len(parts) > 1 and parts[1] in (*FOLDERS[1:], "cli", "__main__"):
        return {"__main__": "cli"}.get(parts[1], parts[1])
    return parts[0]


def _imports(inside: str, path: Path) -> Iterator[str]:
    """Absolute dotted names imported anywhere in a module, relative ones resolved."""
    package = inside.split("/")[:-1]
    package = package if package[0] == "emomusic_edge" else ["emomusic_edge", *package]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            head = ".".join([*base, *(node.module.split(".") if node.module else [])])
            if node.module is None or head == "emomusic_edge":
                yield from (f"{head}.{alias.name}" for alias in node.names)
            else:
                yield head


def _all_imports(repo: Path) -> list[tuple[str, str]]:
    return [(inside, name) for inside, path in _modules(repo) for name in _imports(inside, path)]


def test_arrows_point_one_way(repo: Path) -> None:
    wrong = [
        f"{inside} imports {name}"
        for inside, name in _all_imports(repo)
        if name.split(".")[0] == "emomusic_edge"
        and _layer(name) != _layer(inside)
        and _layer(name) not in MAY_IMPORT[_layer(inside)]
    ]
    assert not wrong


def test_no_folder_is_imported_by_its_bare_name(repo: Path) -> None:
    wrong = [f"{inside} imports {name}" for inside, name in _all_imports(repo) if name.split(".")[0] in FOLDERS[1:]]
    assert not wrong


def test_heavy_libraries_stay_where_they_are_wrapped(repo: Path) -> None:
    wrong = []
    for inside, name in _all_imports(repo):
        root = name.split(".")[0]
        if root in WRAPPED_BY and inside not in WRAPPED_BY[root]:
            wrong.append(f"{inside} imports {root}")
        if root in NEVER_IN_RUNTIME and _layer(inside) in ("runtime", "emomusic_edge"):
            wrong.append(f"{inside} imports {root}")
    assert not wrong


def test_only_the_composition_root_builds_concrete_parts(repo: Path) -> None:
    """Parts reach each other through contracts: constructors of concrete parts are called in runtime/app/ alone.

    The smoke run of a new engine is a program of its own, and builds the two engines that it holds side by side.
    """
    may_build = {"runtime/engines/smoke.py": {"OrtEngine", "TensorRTEngine"}}
    parts = {"OrtEngine", "BlazeFace", "MediaPipeDetector", "AffectPredictor", "MusicPlayer", "StreamMixer", "SdlSink"}
    parts |= {
        "TensorRTEngine",
        "MqttPublisher",
        "Matcher",
        "Stabilizer",
        "PrimaryFace",
        "ConfirmedFaces",
        "LatestFrameCapture",
        "FastFrames",
    }
    wrong = []
    for inside, path in _modules(repo):
        if inside.startswith("runtime/app/") or not inside.startswith(("runtime/", "deam_index/")):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            forbidden = parts - may_build.get(inside, set())
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in forbidden:
                wrong.append(f"{inside}:{node.lineno} builds {node.func.id}")
    assert not wrong


@pytest.mark.parametrize(
    ("inside", "source", "expected"),
    [
        ("runtime/loop.py", "from .fusion import fuse", ["emomusic_edge.runtime.fusion"]),
        ("runtime/faces/nms.py", "from ..camera import x", ["emomusic_edge.runtime.camera"]),
        ("runtime/loop.py", "from emomusic_edge import export", ["emomusic_edge.export"]),
        ("export/x.py", "def f():\n    import torch", ["torch"]),
    ],
)
def test_the_reader_of_imports_sees_them(inside: str, source: str, expected: list[str], tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert list(_imports(inside, path)) == expected
