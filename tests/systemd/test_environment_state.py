"""What is seen of the service's environment, and that pip does with it what the steps say."""

from __future__ import annotations

import platform
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from emomusic_edge.installation.environment_state import other_onnxruntime, pins_for
from emomusic_edge.installation.environment_steps import named, package_installed, without
from emomusic_edge.installation.source import Source
from emomusic_edge.installation.steps import Run, WriteFile


def interpreter(tmp_path: Path, name: str) -> Path:
    """A link as an environment has it."""
    (tmp_path / name).touch()
    link = tmp_path / "python"
    link.symlink_to(name)
    return link


@pytest.mark.parametrize(("name", "pinned"), [("python3.10", True), ("python3.13", True), ("python3.9", False)])
def test_pins_are_for_the_python_that_the_links_end_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pinned: bool
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert bool(pins_for(interpreter(tmp_path, name))) == pinned


def test_there_are_no_pins_for_another_machine_or_an_unknown_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert not pins_for(interpreter(tmp_path, "pypy"))
    assert pins_for(Path(sys.executable)).startswith("annotated")
    monkeypatch.setattr(platform, "machine", lambda: "armv7l")
    assert not pins_for(Path(sys.executable))


def test_a_lock_without_a_package_keeps_all_others() -> None:
    lock = pins_for(Path(sys.executable)) or pytest.skip("no pins for this Python")
    less = without(lock, "onnxruntime")
    assert "\nonnxruntime==" in lock
    assert "onnxruntime==" not in less
    assert less.count("==") < lock.count("==")
    assert {line for line in lock.splitlines() if "==" in line} - set(less.splitlines()) == {
        line for line in lock.splitlines() if line.startswith("onnxruntime==")
    }
    assert without(lock, "none") == lock


@pytest.mark.parametrize(
    "requirement",
    ["onnxruntime<1.29,>=1.23.2", "onnxruntime ; x", "onnxruntime==1 \\", "ONNXRuntime[a]", "onnxruntime"],
)
def test_a_requirement_has_a_name(requirement: str) -> None:
    assert named(requirement) == "onnxruntime"


def test_another_onnxruntime_is_seen(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.10" / "site-packages"
    (site / "onnxruntime-1.23.2.dist-info").mkdir(parents=True)
    assert other_onnxruntime(tmp_path) == ""
    (site / "onnxruntime_gpu-1.23.0.dist-info").mkdir()
    assert other_onnxruntime(tmp_path) == "onnxruntime-gpu"
    assert other_onnxruntime(tmp_path / "none") == ""


def fake_wheel(folder: Path, name: str, text: str, requires: str = "") -> Path:
    """A wheel of one module that holds a text."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": f"TEXT = {text!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nProvides-Extra: starter\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{one},,\n" for one in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for one, content in files.items():
            wheel.writestr(one, content)
    return path


@pytest.mark.slow
def test_an_upgrade_to_other_files_of_the_same_version_brings_them(tmp_path: Path) -> None:
    """And what the package needs is there, but not the common ONNX Runtime over the other one."""
    environment, wheels = tmp_path / "venv", tmp_path / "wheels"
    wheels.mkdir()
    venv.create(environment, with_pip=True)
    requires = "Requires-Dist: onnxruntime\nRequires-Dist: other\n"
    fake_wheel(wheels, "onnxruntime", "the common one")
    fake_wheel(wheels, "other", "a need")
    python = environment / "bin" / "python"

    def install(text: str, onnxruntime: str = "") -> None:
        wheel = fake_wheel(wheels, "emomusic_edge", text, requires)
        source = Source(str(wheel), f"{wheel}[starter]", ("onnxruntime", "other"), wheels)
        for step in package_installed(environment, source, pins="", onnxruntime=onnxruntime):
            assert not isinstance(step, WriteFile)
            if isinstance(step, Run):
                subprocess.run(step.argv, check=True, cwd=tmp_path)

    def told(module: str) -> str:
        line = [python, "-c", f"import {module}; print({module}.TEXT)"]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path).stdout.strip()

    install("first", onnxruntime="onnxruntime-gpu")
    assert (told("emomusic_edge"), told("other"), told("onnxruntime")) == ("first", "a need", "")
    install("second")
    assert (told("emomusic_edge"), told("onnxruntime")) == ("second", "the common one")
