"""A command whose packages are not installed names them and the line that installs them; it is no bug."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from emomusic_edge import own_source
from emomusic_edge.cli.output import BUG_EXIT_CODE, report
from emomusic_edge.errors import ConfigError, MissingExtraError
from emomusic_edge.missing_package import missing_package
from emomusic_edge.paths import default_config_file, default_data_dir


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("onnx", "emomusic-edge[starter]"),
        ("tflite.Model", "emomusic-edge[starter]"),
        ("torch", "emomusic-edge[export]"),
        ("cv2", "emomusic-edge"),
        ("paho.mqtt.client", "emomusic-edge"),
        ("numpy", "emomusic-edge"),
    ],
)
def test_the_extra_that_brings_it_is_told(
    module: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(own_source, "came_from", lambda: None)
    code = report(ModuleNotFoundError(f"No module named {module!r}", name=module))
    assert code == MissingExtraError.exit_code
    told = capsys.readouterr().err
    assert module.partition(".")[0] in told
    assert f"{sys.executable} -m pip install" in told
    assert f"{expected}==" in told


@pytest.mark.parametrize("module", ["emomusic_edge.nowhere", "nowhere", None])
def test_anything_else_is_a_bug(module: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    error = ModuleNotFoundError("No module", name=module)
    assert missing_package(error) is None
    assert report(error) == BUG_EXIT_CODE
    assert "A bug in emomusic-edge" in capsys.readouterr().err


def test_it_is_installed_again_from_where_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_source, "came_from", lambda: tmp_path)
    assert own_source.requirement() == str(tmp_path)
    assert own_source.requirement("starter") == f"{tmp_path}[starter]"


def test_a_user_without_a_name_and_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: str) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_data_dir", unknown)
    monkeypatch.setattr("platformdirs.user_config_dir", unknown)
    for find in (default_data_dir, default_config_file):
        with pytest.raises(ConfigError, match="not known") as told:
            find()
        assert "HOME" in told.value.mend
