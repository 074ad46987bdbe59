"""The examination as a whole: nothing that a look does ends it, and what the command prints and returns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from emomusic_edge.config import Settings
from emomusic_edge.installation import system_places
from emomusic_edge.installation.as_service import environment_of_service
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.doctor.examination import examine
from emomusic_edge.runtime.doctor.finding import About, Finding, Level, worst
from emomusic_edge.runtime.doctor.setup import Setup
from emomusic_edge.runtime.doctor.subjects import SUBJECTS, Subject, subject_named

DEFAULTS = Setup(Settings())
NEVER = ("torch", "pandas", "matplotlib", "onnx", "transformers", "sklearn", "tflite", "pyloudnorm", "mutagen", "PIL")


def test_a_look_that_raises_is_a_finding_beside_what_it_found_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(_: Setup) -> Iterator[Finding]:
        yield About("clock").ok("date", "half past")
        raise ZeroDivisionError("a quarter to none")

    monkeypatch.setattr("emomusic_edge.runtime.doctor.clock.look", look)
    first, last = examine(Subject("clock", "Clock", "clock"), DEFAULTS)
    assert (first.level, last.level) == (Level.OK, Level.WARNING)
    assert "could not be looked at: ZeroDivisionError: a quarter to none (test_doctor_examination.py" in last.found


def test_a_look_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    freed = threading.Event()

    def look(_: Setup) -> Iterator[Finding]:
        yield About("clock").ok("date", "half past")
        freed.wait()

    monkeypatch.setattr("emomusic_edge.runtime.doctor.clock.look", look)
    try:
        first, last = examine(Subject("clock", "Clock", "clock", timeout_s=0.2), DEFAULTS)
    finally:
        freed.set()
    assert (first.level, last.level) == (Level.OK, Level.PROBLEM)
    assert "no answer within 0.2 s" in last.found


def test_a_file_that_is_closed_to_this_user_is_no_fault_of_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(_: Setup) -> Iterator[Finding]:
        raise PermissionError(13, "Permission denied", "/var/lib/emomusic-edge")

    monkeypatch.setattr("emomusic_edge.runtime.doctor.music.look", look)
    (found,) = examine(Subject("music", "Music", "music"), DEFAULTS)
    assert (found.name, found.level) == ("permission", Level.PROBLEM)
    assert "/var/lib/emomusic-edge is closed to the user" in found.found


@pytest.mark.parametrize("apart", [False, True])
def test_a_package_that_is_missing_is_named_with_the_line_that_brings_it(
    apart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_: Setup) -> Iterator[Finding]:
        raise ModuleNotFoundError("No module named 'cv2'", name="cv2")

    monkeypatch.setattr("emomusic_edge.runtime.doctor.clock.look", look)
    subject = Subject("clock", "Clock", "clock")
    if apart:
        # A child that finds no cv2.
        (tmp_path / "cv2.py").write_text('raise ModuleNotFoundError("No module named \'cv2\'", name="cv2")\n')
        import emomusic_edge.own_process as own_process

        as_is = own_process._environment
        monkeypatch.setattr(
            own_process, "_environment", lambda folder: {**as_is(folder), "PYTHONPATH": f"{folder}:{tmp_path}"}
        )
        subject = Subject("camera", "Camera", "camera", timeout_s=60.0, apart=True)
    (found,) = examine(subject, DEFAULTS)
    assert (found.name, found.level) == ("package", Level.PROBLEM)
    assert "the package cv2 is missing" in found.found
    assert "-m pip install" in found.mend


def test_a_module_of_our_own_that_is_missing_is_a_fault_of_the_doctor() -> None:
    (found,) = examine(Subject("clock", "Clock", "no_such_look"), DEFAULTS)
    assert (found.name, found.level) == ("unanswered", Level.WARNING)


def test_a_process_of_its_own_that_takes_too_long_is_ended() -> None:
    (found,) = examine(Subject("onnxruntime", "ONNX Runtime", "onnx_runtime", timeout_s=0.01, apart=True), DEFAULTS)
    assert found.level is Level.PROBLEM
    assert "took longer than 0.01 s and was ended" in found.found


def test_a_process_of_its_own_tells_what_the_same_look_tells_here() -> None:
    subject = subject_named("gpu")
    assert subject is not None
    assert subject.apart
    assert list(examine(subject, DEFAULTS)) == list(subject.look(DEFAULTS))


def test_a_process_of_its_own_that_breaks_down_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that ends the process when it is loaded, as ONNX Runtime 1.28 does under an emulated processor."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    import emomusic_edge.runtime.doctor.examination as examination

    crashing = tmp_path / "crashing.py"
    crashing.write_text(
        "import os, signal, sys\n"
        'print(\'{"progress": "no finding"}\')\n'
        "sys.stdout.flush()\n"
        "os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.setattr(examination, "CHILD", "crashing")
    monkeypatch.setattr(
        "emomusic_edge.own_process._environment", lambda folder: {**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    (found,) = examine(Subject("onnxruntime", "ONNX Runtime", "onnx_runtime", apart=True), DEFAULTS)
    assert found.level is Level.PROBLEM
    assert "crashed with SIGSEGV" in found.found


def test_subjects_have_names_of_their_own() -> None:
    assert len({subject.name for subject in SUBJECTS}) == len(SUBJECTS)
    assert subject_named("nothing") is None
    assert worst([]) is Level.OK
    assert worst([Level.WARNING, Level.PROBLEM, Level.OK]) is Level.PROBLEM


# The command


def doctor(*arguments: str, home: Path, layout: DataLayout) -> subprocess.CompletedProcess[str]:
    kept = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"HOME": str(home), "EMOMUSIC_PATHS__DATA_DIR": str(layout.root)}
    return subprocess.run(
        [sys.executable, "-B", "-m", "emomusic_edge", "doctor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def test_the_document_for_programs(starter_layout: DataLayout, tmp_path: Path) -> None:
    done = doctor("--json", "--set", "mqtt.enabled=false", home=tmp_path, layout=starter_layout)
    told = json.loads(done.stdout)
    assert told["schema"] == 1
    assert {finding["subject"] for finding in told["findings"]} == {subject.name for subject in SUBJECTS}
    for finding in told["findings"]:
        assert list(finding) == ["subject", "name", "level", "found", "meaning", "mend", "figures"]
        assert finding["name"] != "unanswered", finding
        assert finding["level"] == "ok" or finding["meaning"], "a finding that is not well says what that means"
    counted = sum(finding["level"] == "problem" for finding in told["findings"])
    assert told["counts"]["problem"] == counted
    assert done.returncode == (1 if counted else 0)
    # The sound is asked for as it truly is: its libraries would make a folder here, with a link into /tmp.
    assert not [path for path in tmp_path.rglob("*") if not path.is_dir() or path.name == "pulse"], "nothing is left"


def test_some_subjects_that_are_well_end_with_0(starter_layout: DataLayout, tmp_path: Path) -> None:
    done = doctor("--only", "models, music,python", home=tmp_path, layout=starter_layout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All is well" in done.stdout
    assert "Camera" not in done.stdout
    assert done.stderr == ""


def test_settings_that_do_not_load_are_told_and_the_rest_is_looked_at(
    starter_layout: DataLayout, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[mqtt]\nnode = "Küche"\npassword = "sesame"\n')
    done = doctor("--config", str(file), "--only", "config,python", home=tmp_path, layout=starter_layout)
    assert done.returncode == 1
    assert "problem: mqtt" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "packages it needs" in done.stdout
    assert "sesame" not in done.stdout + done.stderr


def test_an_unknown_subject_is_refused_with_those_there_are(starter_layout: DataLayout, tmp_path: Path) -> None:
    done = doctor("--only", "camera,weather", home=tmp_path, layout=starter_layout)
    assert done.returncode == 2
    assert "weather" in done.stderr
    assert "broker" in done.stderr


def test_as_the_service_it_has_the_environment_of_the_unit(repo: Path) -> None:
    unit = (repo / "systemd" / "emomusic-edge.service").read_text()
    assert set(re.findall(r"^Environment=(.+)$", unit, re.MULTILINE)) <= set(environment_of_service(system_places()))


# All subjects in one process in which nothing beside the base can be imported.
BASE_ALONE = """
import sys
never = set(sys.argv[1].split(","))
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in never:
            raise ImportError(f"{name} is not part of the base")
sys.meta_path.insert(0, Refuse())
from emomusic_edge.config import Settings
from emomusic_edge.runtime.doctor.setup import Setup
from emomusic_edge.runtime.doctor.subjects import SUBJECTS
setup = Setup(Settings.model_validate({"mqtt": {"enabled": False}, "paths": {"data_dir": sys.argv[2]}}))
print(*(subject.name for subject in SUBJECTS if list(subject.look(setup))))
"""


def test_it_needs_nothing_but_the_base_package(starter_layout: DataLayout) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BASE_ALONE, ",".join(NEVER), str(starter_layout.root)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SDL_AUDIODRIVER": "dummy"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [subject.name for subject in SUBJECTS]
