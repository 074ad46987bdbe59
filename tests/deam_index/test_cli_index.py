"""`emomusic-edge index`, as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_index import sample_index
from tone_files import write_tone
from typer.testing import CliRunner

from emomusic_edge.cli.index import app
from emomusic_edge.deam_index.index_file import read_index, write_index
from emomusic_edge.errors import IndexFileError

HEADER = "song_id," + ",".join(f"sample_{15000 + 500 * i}ms" for i in range(20))


@pytest.fixture
def deam(tmp_path: Path) -> Path:
    folder = tmp_path / "deam"
    folder.mkdir()
    for name, value in (("valence", "0.25"), ("arousal", "-0.5")):
        songs = [",".join([song, *[value] * 20]) for song in ("2", "3")]
        (folder / f"{name}.csv").write_text("\n".join([HEADER, *songs[:1], songs[1].replace(value, "0.5"), ""]))
    return folder


def test_build_then_info(deam: Path, tmp_path: Path) -> None:
    out = tmp_path / "my [own].npz"
    built = CliRunner().invoke(app, ["build", "--deam", str(deam), "--out", str(out)], catch_exceptions=False)
    assert built.exit_code == 0
    assert "2 windows of 2 songs" in built.output
    assert read_index(out).points.tolist() == [[0.25, -0.5], [0.5, 0.5]]
    (tmp_path / "2.mp3").write_bytes(b"")
    shown = CliRunner().invoke(
        app, ["info", str(out), "--audio", str(tmp_path)], catch_exceptions=False, env={"COLUMNS": "300"}
    )
    assert shown.exit_code == 0
    assert "my [own].npz" in shown.output
    for text in ("ratings", "10 s", "+0.250 to +0.500", "1 of 2 songs in"):
        assert text in shown.output


@pytest.fixture
def _homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.mark.usefixtures("_homes")
def test_info_shows_the_bundled_index_by_its_name() -> None:
    shown = CliRunner().invoke(app, ["info", "deam"], catch_exceptions=False, env={"COLUMNS": "300"})
    assert "1802" in shown.output
    assert "11171" in shown.output
    assert "deam_windows.npz" in shown.output
    assert "0 of 1802 songs in" in shown.output


@pytest.mark.usefixtures("_homes")
def test_info_shows_the_index_of_the_config_by_default(tmp_path: Path) -> None:
    with pytest.raises(IndexFileError, match="starter music is not here"):
        CliRunner().invoke(app, ["info"], catch_exceptions=False)
    write_index(tmp_path / "mine.npz", sample_index(name="mine"))
    (tmp_path / "2.mp3").write_bytes(b"")
    config = tmp_path / "config.toml"
    config.write_text(f'[music]\nindex = "{tmp_path}/mine.npz"\n')
    line = ["info", "--config", str(config)]
    shown = CliRunner().invoke(app, line, catch_exceptions=False, env={"COLUMNS": "300"})
    assert f"{tmp_path}/mine.npz" in shown.output
    assert f"1 of 3 songs in {tmp_path}" in shown.output


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_index(tmp_path / "deam", sample_index(name="mine"))
    assert "mine" in CliRunner().invoke(app, ["info", "deam"], catch_exceptions=False).output


def test_a_scale_is_declared_on_the_command_line(deam: Path, tmp_path: Path) -> None:
    for file, value in ((deam / "valence.csv", "0.25"), (deam / "arousal.csv", "-0.5")):
        file.write_text(file.read_text().replace(value, "-3.5").replace("0.5", "7"))
    out = tmp_path / "seven.npz"
    line = ["build", "--deam", str(deam), "--out", str(out)]
    with pytest.raises(IndexFileError, match=r"valence\.csv holds values from -3\.5 to 7 \(.*row 3, column") as caught:
        CliRunner().invoke(app, line, catch_exceptions=False)
    assert "--scale" in caught.value.mend
    built = CliRunner().invoke(app, [*line, "--scale", "-7..7"], catch_exceptions=False)
    assert "Note: valence and arousal are read as -7..7, as declared." in built.output
    assert read_index(out).points.tolist() == [[-0.5, -0.5], [1.0, 1.0]]
    assert read_index(out).provenance["scale"] == "annotated on -7..7, mapped to -1..1"


def test_bad_audio_beside_deam_counts_as_missing(deam: Path, tmp_path: Path) -> None:
    write_tone(tmp_path / "2.wav", 30.0).rename(tmp_path / "2.mp3")
    (tmp_path / "3.mp3").write_bytes(b"no sound")
    line = ["build", "--deam", str(deam), "--out", str(tmp_path / "a.npz"), "--audio", str(tmp_path)]
    shown = CliRunner().invoke(app, line, catch_exceptions=False)
    assert "1 files count as missing (the first: 3.mp3 does not decode" in " ".join(shown.output.split())
    assert read_index(tmp_path / "a.npz").song_end_s.tolist() == [30, 25]


def test_info_shows_names_as_they_are(tmp_path: Path) -> None:
    write_index(tmp_path / "a.npz", sample_index(name="[red]x", provenance={"source": "[bold]y", "none": ""}))
    shown = CliRunner().invoke(app, ["info", str(tmp_path / "a.npz")], catch_exceptions=False)
    assert "[red]x" in shown.output
    assert "[bold]y" in shown.output
    assert "none" not in shown.output


def test_errors_reach_the_one_screen_as_errors(deam: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for line in (
        ["info", str(tmp_path / "gone.npz")],
        ["build", "--deam", str(tmp_path / "empty"), "--out", str(tmp_path / "a.npz")],
        ["build", "--deam", str(deam), "--out", str(tmp_path / "a.npz"), "--audio", str(tmp_path)],
    ):
        with pytest.raises(IndexFileError):
            CliRunner().invoke(app, line, catch_exceptions=False)
    assert not (tmp_path / "a.npz").exists()


def test_help_says_where_the_files_are() -> None:
    shown = CliRunner().invoke(app, ["build", "--help"], catch_exceptions=False, env={"COLUMNS": "300"})
    assert "dynamic (per second annotations)" in shown.output
