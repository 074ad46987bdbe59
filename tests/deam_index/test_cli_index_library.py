"""The `index` commands from a table of ratings to a measured, merged and drawn library, as a person types them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_index import sample_index
from tone_files import write_tone
from typer.testing import CliRunner

from emomusic_edge.cli.index import app
from emomusic_edge.cli.index_plot import draw
from emomusic_edge.deam_index.index_file import read_index, write_index
from emomusic_edge.errors import ConfigError, EmomusicError, IndexFileError

WIDE = {"COLUMNS": "300"}


def typed(*words: str | Path, code: int = 0) -> str:
    shown = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False, env=WIDE)
    assert shown.exit_code == code, shown.output
    return shown.output


@pytest.fixture
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "music"
    for name in ("a.flac", "sub/b.ogg"):
        write_tone(folder / name, 12.0)
    write_index(folder / "other.npz", sample_index(files=("a.flac", "x.ogg", "y.ogg")))
    (folder / "ratings.csv").write_text("path,valence,arousal\na.flac,2,7\nsub/b.ogg,8,4\n")
    return folder


def test_from_a_table_to_a_merged_library(music: Path, tmp_path: Path) -> None:
    pytest.importorskip("mutagen")
    mine, both = music / "mine.npz", tmp_path / "all.npz"
    built = typed("build", "--csv", music / "ratings.csv", "--scale", "1..9", "--out", mine, "--name", "mine")
    assert "2 windows of 2 songs" in built
    assert "DEAM's mean and sd stand in" in built
    assert f"emomusic-edge run --set music.index={mine} --set music.audio_dir={music}" in built
    assert read_index(mine).points.tolist() == [[-0.75, 0.5], [0.75, -0.25]]
    checked = typed("verify", mine, "--csv", music / "ratings.csv")
    assert "2 of 2 songs fit, 0 missing, 0 broken" in checked
    assert "the file that the index was made from" in checked

    merged = typed("merge", mine, music / "other.npz", "--out", both)
    assert "7 windows of 5 songs" in merged
    assert "3 of 5 songs have their audio" in merged
    assert f"music.index={both}" in merged
    assert read_index(both).files[:3] == ("mine/a.flac", "mine/sub/b.ogg", "other/a.flac")
    shown = typed("info", both)
    assert "3 of 5 songs in" in shown
    with pytest.raises(IndexFileError, match="3 problems"):
        typed("verify", both)  # the sample claims 45 s of a.flac
    measured = typed("loudness", both, "--workers", "1")
    assert "3 files measured, 0 known before, 2 missing, 0 that do not decode" in measured
    assert (tmp_path / "all.loudness.jsonl").is_file()
    assert "0 files measured, 3 known before" in typed("loudness", both, "--workers", "1")
    assert "3 files measured" in typed("loudness", both, "--workers", "1", "--again")


def test_verify_tells_and_ends_with_the_code_of_its_error(music: Path) -> None:
    with pytest.raises(IndexFileError, match="3 problems found") as told:
        typed("verify", music / "other.npz")
    assert told.value.exit_code == 6
    assert "keeps the rules" in typed("verify", music / "other.npz", "--no-audio")
    shown = CliRunner().invoke(app, ["verify", str(music / "other.npz"), "--missing-ok"], env=WIDE)
    assert shown.exit_code != 0
    assert "a.flac: has 12.0 s; the index says 45.0 s" in shown.output
    assert "x.ogg" not in shown.output
    (music / "wrong.csv").write_text("x")
    with pytest.raises(IndexFileError, match="1 problems"):
        typed("verify", music / "other.npz", "--no-audio", "--csv", music / "wrong.csv")


def test_verify_compares_deams_own_files(deam_dir: Path, music: Path) -> None:
    from emomusic_edge.paths import packaged_deam_index

    shown = typed("verify", packaged_deam_index(), "--deam", deam_dir, "--no-audio")
    assert shown.count("the file that the index was made from") == 2


@pytest.mark.parametrize(
    "line",
    [
        ("build", "--out", "x.npz"),
        ("build", "--out", "x.npz", "--deam", "d", "--csv", "c"),
        ("build", "--out", "x.npz", "--csv", "c"),
        ("merge", "a.npz", "b.npz", "--out", "x.npz", "--audio", "d"),
        ("merge", "a.npz", "b.npz", "--out", "x.npz", "--label", "d"),
        ("coverage", "--queries", "1"),
    ],
)
def test_a_wrong_line_is_refused_as_usage(line: tuple[str, ...]) -> None:
    typed(*line, code=2)


@pytest.mark.parametrize(
    "line",
    [
        ("build", "--out", "x.npz", "--csv", "ratings.csv", "--scale", "9..1"),
        ("build", "--out", "x.npz", "--csv", "gone.csv", "--scale", "1..9"),
        ("merge", "other.npz", "--out", "x.npz"),
        ("merge", "other.npz", "other.npz", "--out", "x.npz"),
        ("loudness", "gone.npz"),
        ("loudness", "other.npz", "--audio", "nowhere"),
        ("plot", "other.npz", "--out", "x.gif"),
    ],
)
def test_what_is_wrong_is_told_with_a_mend(music: Path, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...]) -> None:
    monkeypatch.chdir(music)
    with pytest.raises(EmomusicError) as told:
        typed(*line)
    assert told.value.mend
    assert not (music / "x.npz").exists()


def rows_of_coverage(shown: str) -> list[list[str]]:
    rows = [line.split("│")[1:4] for line in shown.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row] for row in rows]


def test_coverage_prints_each_mapping_by_each_rule() -> None:
    shown = typed("coverage", "--queries", "300")
    rules = [["off", "any window"], ["on", "any window"], ["on", "25 s left, as run"]]
    assert rows_of_coverage(shown) == [
        [name, *rule] for name in ("standardise", "linear", "quantile") for rule in rules
    ]
    assert "seed 0" in shown
    assert typed("coverage", "deam", "--queries", "300") == shown
    assert len(rows_of_coverage(typed("coverage", "--queries", "300", "--dwell", "0"))) == 6


@pytest.mark.parametrize("alignment", ["standardise", "linear", "quantile"])
def test_the_plane_is_drawn(music: Path, alignment: str) -> None:
    out = music / "plane.png"
    shown = typed("plot", music / "other.npz", "--out", out, "--alignment", alignment, "--queries", "200")
    assert "1 of 3 songs have their audio" in shown
    picture = np.asarray(Image.open(io.BytesIO(out.read_bytes())).convert("RGB")).astype(int)
    # blue of what is playable on the left, orange of the queries on the right, and not the other way round
    blue = (np.abs(picture - [0x00, 0x72, 0xB2]).sum(axis=2) < 60).sum(axis=0)
    orange = (np.abs(picture - [0xD5, 0x5E, 0x00]).sum(axis=2) < 60).sum(axis=0)
    half = picture.shape[1] // 2
    assert blue[:half].sum() > 20 > blue[half:].sum()
    assert orange[half:].sum() > 20 > orange[:half].sum()


def test_a_picture_needs_no_audio_no_hull_and_no_queries() -> None:
    index = sample_index(points=np.zeros((5, 2), np.float32))
    figure = draw(index, np.zeros(3, np.bool_), np.empty((0, 2)), "standardise")
    assert len(figure.axes) == 2
    with pytest.raises(ConfigError):
        typed("plot", "a.npz", "--out", "a.jpg")
