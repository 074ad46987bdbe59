"""Work in a process of its own: answers, errors, crashes, hangs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from emomusic_edge import own_process
from emomusic_edge.errors import ModelError
from emomusic_edge.own_process import answer_with, run_in_own_process


def interpreter(folder: Path, script: str) -> str:
    """A program that stands for an interpreter: what it prints is the child's."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def run(folder: Path, script: str, *, timeout_s: float = 60, heard: list[str] | None = None) -> object:
    return run_in_own_process(
        "some.module",
        [],
        what="Building x",
        timeout_s=timeout_s,
        progress=(heard if heard is not None else []).append,
        mend_late="wait",
        python=interpreter(folder, script),
    )


def test_progress_and_the_answer_come_through(tmp_path: Path) -> None:
    heard: list[str] = []
    script = """echo '{"progress": "one"}'; echo 'a library says {'; echo '{"answer": {"x": 1}}'"""
    assert run(tmp_path, script, heard=heard) == {"x": 1}
    assert heard == ["one", "a library says {"]


def test_an_error_of_the_child_is_ours(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no luck") as told:
        run(tmp_path, """echo '{"error": "no luck", "mend": "try"}'; exit 5""")
    assert told.value.mend == "try"


def test_a_crash_names_the_signal_and_the_last_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Building x crashed with SIGSEGV: last words"):
        run(tmp_path, "echo 'last words' >&2; kill -SEGV $$")


def test_an_answer_of_one_that_crashed_afterwards_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="SIGABRT"):
        run(tmp_path, """echo '{"answer": {}}'; kill -ABRT $$""")


def test_a_silent_end_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="exit code 0 and no answer"):
        run(tmp_path, "exit 0")


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"took longer than 0\.2 s") as told:
        run(tmp_path, "exec sleep 60", timeout_s=0.2)
    assert told.value.mend == "wait"


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="did not start"):
        run_in_own_process("m", [], what="Building x", timeout_s=9, python=str(tmp_path / "none"))


def test_the_child_sees_our_modules_from_anywhere() -> None:
    with pytest.raises(ModelError, match=r"TensorRT's Python bindings are not in this environment|No such file"):
        run_in_own_process(
            "emomusic_edge.export.tensorrt.process", ["/nowhere/job.json"], what="Building x", timeout_s=60
        )


def test_the_childs_side(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> dict[str, object]:
        raise ModelError("no luck", mend="try")

    assert answer_with(lambda: {"x": 1}) == 0
    assert answer_with(fail) == ModelError.exit_code
    assert capsys.readouterr().out.splitlines() == ['{"answer": {"x": 1}}', '{"error": "no luck", "mend": "try"}']


def test_importing_it_needs_the_standard_library_alone() -> None:
    heavy = {"numpy", "pydantic", "onnx", "onnxruntime"}
    code = f"import sys, emomusic_edge.export.tensorrt.rtx; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_where_no_disk_takes_a_folder_it_lies_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A root file system that went read-only is what a doctor is called for."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with own_process.scratch_folder("emomusic-") as folder:
        assert Path(folder).parent == Path("/dev/shm")
    assert not Path(folder).exists()
