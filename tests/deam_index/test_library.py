"""Anyone's library: rows of a table, files with tags, an index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tone_files import write_tone

from emomusic_edge.affect import DEAM
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.deam_index.csv_rows import SourceFile
from emomusic_edge.deam_index.library import BuiltLibrary, build_library
from emomusic_edge.deam_index.library_csv import read_library
from emomusic_edge.deam_index.music_index import check_index
from emomusic_edge.deam_index.scale import RatingScale, parse_scale
from emomusic_edge.errors import IndexFileError

mutagen = pytest.importorskip("mutagen")

ONE_TO_NINE = parse_scale("1..9")


def table(text: str) -> SourceFile:
    return SourceFile("ratings.csv", "ratings.csv", text.encode())


def built(text: str, folder: Path, scale: RatingScale = ONE_TO_NINE) -> BuiltLibrary:
    found = build_library(table(text), read_library(table(text), scale, folder), scale, AudioRoots(folder))
    check_index(found.index, "built")
    return found


@pytest.fixture
def music(tmp_path: Path) -> Path:
    write_tone(tmp_path / "a.flac", 30.0)
    write_tone(tmp_path / "sub" / "b.ogg", 20.0)
    tags = mutagen.File(tmp_path / "a.flac", easy=True)
    tags["title"], tags["artist"] = "A Title", ["One", "Two"]
    tags.save()
    return tmp_path


def test_rows_of_a_path_are_windows_of_one_song(music: Path) -> None:
    found = built(
        "path,start,end,valence,arousal\n"
        "a.flac,10,20,9,1\nsub/b.ogg,0,20,5,5\na.flac,0,10,1,7\na.flac,0:05,0:15.5,3,5\n",
        music,
    )
    index = found.index
    assert found.notes[-1].startswith("fewer than 20 songs")
    assert index.song_ids == index.files == ("a.flac", "sub/b.ogg")
    assert index.titles == ("One, Two – A Title", "b")
    assert index.song.tolist() == [0, 0, 0, 1]
    assert index.start_s.tolist() == [0, 5, 10, 0]
    assert index.end_s.tolist() == [10, 15.5, 20, 20]
    assert index.points.tolist() == [[-1, 0.5], [-0.5, 0], [1, -1], [0, 0]]
    assert index.song_end_s.tolist() == [30, 20]
    assert index.reference_mean == DEAM.mean
    assert "1..9" in index.provenance["scale"]
    assert len(index.provenance["sha256 ratings.csv"]) == 64


def test_a_row_without_start_and_end_is_the_whole_song(music: Path) -> None:
    index = built(
        "valence;arousal;file;extra\n0;6;a.flac;x\n-3;3;sub/b.ogg;y\n", music, parse_scale("-3..3,0..6")
    ).index
    assert index.points.tolist() == [[0, 1], [-1, 0]]
    assert index.start_s.tolist() == [0, 0]
    assert index.end_s.tolist() == [30, 20]


def test_headers_are_read_as_people_write_them(music: Path) -> None:
    index = built(
        "File Name\tStart (s)\tEnd_s\tVALENCE\tArousal Mean\tTrack\tArtist\na.flac\t1\t2\t5\t5\tT\tA\n", music
    ).index
    assert index.titles == ("A – T",)
    assert (index.start_s[0], index.end_s[0]) == (1, 2)


def test_an_absolute_path_inside_the_folder_is_taken(music: Path) -> None:
    index = built(f"path,valence,arousal\n{music}/sub/../sub/b.ogg,5,5\n", music).index
    assert index.files == ("sub/b.ogg",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "row 1: column path is missing; found nothing"),
        ("path,valence\n", "row 1: column arousal is missing; found path, valence"),
        ("path,file,valence,arousal\n", "row 1: 'path' and 'file' may both be the column path"),
        ("path,valence,arousal\n", "holds no row"),
        (
            "path,valence,arousal\na.flac,5,5,5\n",
            "row 2 has 4 cells for 3 columns: column 4 is '5', after .* 'arousal'",
        ),
        ("path,valence,arousal\na.flac,5,10\n", "row 2, column arousal is '10'; a number in 1..9"),
        ("path,valence,arousal\na.flac,5,5\na.flac,x,5\n", "row 3, column valence is 'x'"),
        ("path,valence,arousal\na.flac,5\n", "row 2, column arousal is ''"),
        ("path,valence,arousal\na.flac,5,5\n./a.flac,6,6\n", "row 3, column path: a.flac stands there twice .* row 2"),
        ("path,start,end,valence,arousal\na.flac,-1,5,5,5\n", "row 2, column start is '-1'"),
        ("path,start,end,valence,arousal\na.flac,1:5,5,5,5\n", "row 2, column start is '1:5'"),
        ("path,start,end,valence,arousal\na.flac,5,5,5,5\n", "row 2, column end is '5'; a second after start"),
        ("path,start,end,valence,arousal\na.flac,5,,5,5\n", "row 2, column end is empty"),
        ("path,start,valence,arousal\na.flac,5,5,5\n", "row 2, column end is empty"),
        ("path,valence,arousal\n../a.flac,5,5\n", "row 2, column path is '../a.flac'; a file inside"),
        ("path,valence,arousal\na/../../a.flac,5,5\n", "row 2, column path"),
        ("path,valence,arousal\n..\\a.flac,5,5\n", "row 2, column path"),
        ("path,valence,arousal\n/etc/passwd,5,5\n", "row 2, column path is '/etc/passwd'"),
        ("path,valence,arousal\n,5,5\n", "row 2, column path is ''"),
        ("path,start,end,valence,arousal\na.flac,0,40,5,5\n", "row 2: column end is 40 s; a.flac has 30.0 s"),
        ("path,start,end,valence,arousal\na.flac,31,32,5,5\n", "row 2: column start is 31 s"),
        ("path,valence,arousal\ngone.flac,5,5\n", r"none of the 1 files .* \(row 2: gone.flac\)"),
        ("path,valence,arousal\nnoise.mp3,5,5\n", "row 2: noise.mp3 does not decode"),
    ],
)
def test_what_is_wrong_is_named(music: Path, text: str, message: str) -> None:
    (music / "noise.mp3").write_bytes(b"no sound at all")
    with pytest.raises(IndexFileError, match=message):
        built(text, music)


def test_a_rating_beyond_the_scale_leads_to_the_scale(music: Path) -> None:
    with pytest.raises(IndexFileError, match=r"row 2, column valence is '12'; a number in 1\.\.9") as caught:
        built("path,valence,arousal\na.flac,12,5\n", music)
    assert "1..9" in caught.value.mend
    assert "--scale" in caught.value.mend


def test_a_missing_file_is_kept_when_its_end_is_known(music: Path) -> None:
    (music / "out.flac").symlink_to("/etc/passwd")
    found = built(
        "path,start,end,valence,arousal\na.flac,,,5,5\ngone.flac,0,10,5,5\nlost.flac,,,5,5\nout.flac,0,9,5,5\n", music
    )
    assert found.index.song_ids == ("a.flac", "gone.flac", "out.flac")
    assert found.index.song_end_s.tolist() == [30, 10, 9]
    assert found.notes[0].startswith("3 files are not in")
    assert "row 3: gone.flac); 1 of these songs, rated as a whole, are left out" in found.notes[0]


def true_audio(path: Path) -> None:
    """TTA, which mutagen reads and libsndfile does not: 20 s at 8 kHz."""
    path.write_bytes(b"TTA1" + bytes(6) + (8000).to_bytes(4, "little") + (160_000).to_bytes(4, "little"))
    assert mutagen.File(path).info.length == 20


def test_one_bad_file_does_not_end_the_build(music: Path) -> None:
    true_audio(music / "lossless.tta")
    (music / "noise.mp3").write_bytes(b"no sound at all")
    found = built(
        "path,start,end,valence,arousal\n"
        "lossless.tta,0,10,5,5\na.flac,,,5,5\nnoise.mp3,,,5,5\nsub/b.ogg,0,90,5,5\nsub/b.ogg,0,9,5,5\n",
        music,
    )
    assert found.index.song_ids == ("a.flac",)
    assert found.notes[0].startswith("3 files (.mp3 1, .ogg 1, .tta 1) do not decode or end before their rows")
    assert "row 2: lossless.tta does not decode" in found.notes[0]
    assert str(music) not in found.index.provenance["notes"]


def test_a_file_that_plays_needs_no_tags(music: Path) -> None:
    write_tone(music / "c.au", 5.0)
    index = built("path,valence,arousal\nc.au,5,5\n", music).index
    assert (index.titles, index.song_end_s.tolist()) == (("c",), [5])


def test_sound_without_a_header_is_no_crash(music: Path) -> None:
    (music / "c.raw").write_bytes(bytes(8000))
    assert built("path,valence,arousal\na.flac,5,5\nc.raw,5,5\n", music).index.song_ids == ("a.flac",)


def test_a_library_of_some_size_has_its_own_statistics(music: Path) -> None:
    lines = []
    for number in range(20):
        (music / f"{number}.flac").symlink_to("a.flac")
        lines.append(f"{number}.flac,0,10,{number % 2 * 8 + 1},{3 + number % 4}")
    index = built("path,start,end,valence,arousal\n" + "\n".join(lines), music).index
    assert index.reference_mean == pytest.approx((0, -0.125))
    assert index.reference_sd == pytest.approx((1, np.std([-0.5, -0.25, 0, 0.25])), abs=1e-6)
    assert index.window_s == 10.0
