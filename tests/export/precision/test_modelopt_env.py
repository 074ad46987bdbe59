from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emomusic_edge.errors import FetchError, MissingExtraError, ModelError
from emomusic_edge.export.precision.modelopt_env import ModeloptEnvironment, modelopt_environment, overlay_folder

PipSays = Callable[[str], None]


@pytest.fixture
def pip_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PipSays:
    """Sets what `python -m pip install --target FOLDER …` does, as a shell script with the folder in $TARGET."""
    python = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(python))

    def becomes(script: str) -> None:
        python.write_text('#!/bin/sh\nwhile [ "$1" != --target ]; do shift; done\nTARGET="$2"\n' + script + "\n")
        python.chmod(python.stat().st_mode | stat.S_IXUSR)

    return becomes


def test_it_is_made_once_and_announced_once(tmp_path: Path, pip_says: PipSays) -> None:
    pip_says('mkdir "$TARGET/modelopt"')
    told: list[str] = []
    first = modelopt_environment(tmp_path / "cache", told.append)
    pip_says("exit 1")
    assert modelopt_environment(tmp_path / "cache", told.append) == first
    assert first.overlay == overlay_folder(tmp_path / "cache")
    assert (first.overlay / "modelopt").is_dir()
    assert len(told) == 1
    assert "modelopt 0.47.0" in told[0]


def test_what_is_not_complete_or_of_other_pins_is_made_again(tmp_path: Path, pip_says: PipSays) -> None:
    folder = overlay_folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "half").touch()
    pip_says('mkdir "$TARGET/modelopt"')
    modelopt_environment(tmp_path)
    assert not (folder / "half").exists()
    (folder / "complete").write_text("nvidia-modelopt==0.46.0\n")
    (folder / "old").touch()
    modelopt_environment(tmp_path)
    assert not (folder / "old").exists()


@pytest.mark.parametrize(
    ("script", "message", "mend"),
    [
        ("echo 'ERROR: Could not find lief' >&2; exit 1", "Could not find lief", "network"),
        ("echo 'No module named pip' >&2; exit 1", "lacks", "ensurepip"),
        ("exit 1", "no reason", "network"),
    ],
)
def test_a_failed_pip_is_told_and_leaves_nothing(
    tmp_path: Path, pip_says: PipSays, script: str, message: str, mend: str
) -> None:
    pip_says(f'mkdir "$TARGET/half"; {script}')
    with pytest.raises(FetchError, match=message) as caught:
        modelopt_environment(tmp_path / "cache")
    assert mend in caught.value.mend
    assert not list((tmp_path / "cache").iterdir())


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, pip_says: PipSays) -> None:
    pip_says("true")
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(FetchError, match="cache"):
        modelopt_environment(tmp_path / "cache")


def test_an_interpreter_that_the_user_names_is_taken_as_it_is(tmp_path: Path, pip_says: PipSays) -> None:
    pip_says("exit 1")
    environment = modelopt_environment(tmp_path, python=Path("/usr/bin/python3"))
    assert environment == ModeloptEnvironment(Path("/usr/bin/python3"), None)
    assert not overlay_folder(tmp_path).exists()


def test_scripts_see_the_overlay_first_and_nothing_that_phones(tmp_path: Path) -> None:
    (tmp_path / "overlay").mkdir()
    script = tmp_path / "script.py"
    script.write_text("import os, sys\nprint(sys.path[:2], os.environ['ORT_DISABLE_TELEMETRY'], sys.argv[1])\n")
    said = ModeloptEnvironment(Path(sys.executable), tmp_path / "overlay").run(script, ["argument"], 60)
    assert str(tmp_path / "overlay") in said
    assert said.split()[-2:] == ["1", "argument"]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("import no_such_package", MissingExtraError, "no_such_package"),
        ("raise ValueError('too loud')", ModelError, "too loud"),
        ("import time; time.sleep(60)", ModelError, "within"),
    ],
)
def test_what_fails_in_the_process_is_told(tmp_path: Path, source: str, error: type[Exception], message: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(source)
    with pytest.raises(error, match=message):
        ModeloptEnvironment(Path(sys.executable), None).run(script, [], 3)


def test_an_interpreter_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no-python"):
        ModeloptEnvironment(tmp_path / "no-python", None).run(tmp_path / "s.py", [], 3)
