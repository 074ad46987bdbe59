"""Song-level ratings, and the songs that have nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.deam_index.annotations import AnnotationSet, SongAnnotation, read_annotations
from emomusic_edge.deam_index.build import build_index
from emomusic_edge.deam_index.csv_rows import SourceFile
from emomusic_edge.deam_index.music_index import check_index
from emomusic_edge.deam_index.song_level import read_song_level
from emomusic_edge.errors import IndexFileError

HEADER = "song_id, valence_mean, valence_std, arousal_mean, arousal_std\n"


def table(text: str, name: str = "static.csv") -> SourceFile:
    return SourceFile(name, name, text.encode())


def test_one_to_nine_becomes_minus_one_to_one() -> None:
    found = read_song_level([table(HEADER + "2,1,0.9,9,0.6\n3,5,1,6.5,1\n")])
    assert found == {2: ValenceArousal(-1.0, 1.0), 3: ValenceArousal(0.0, 0.375)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("song_id,valence_mean\n", r"static\.csv row 1: column arousal_mean is missing"),
        ("valence_mean,arousal_mean\n", "column song_id is missing"),
        ("song_id,valence_mean,arousal_mean,valence_mean\n", "valence_mean is there more than once"),
        (HEADER + "2,3.1,0.94,x,0.63\n", r"static\.csv row 2, column arousal_mean is 'x'; a number in 1\.\.9"),
        (HEADER + "2,0.31,0.94,3,0.63\n", "row 2, column valence_mean is '0.31'; a number in 1..9"),
        (HEADER + "2,31,0.94,3,0.63\n", "row 2, column valence_mean is '31'"),
        (HEADER + "2,,0.94,3,0.63\n", "row 2, column valence_mean is ''"),
        (
            HEADER + "2,3,1,3,1\n3,3,1,3,1\n2,3,1,3,1\n",
            "row 4, column song_id: song 2 stands there twice, first in .* row 2",
        ),
        (HEADER + "x,3,1,3,1\n", "row 2, column song_id is 'x'"),
        (HEADER + "2,3,1\n", "row 2 has 3 cells for 5 columns"),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(IndexFileError, match=message):
        read_song_level([table(text)])


def test_a_song_in_both_files_is_refused() -> None:
    with pytest.raises(IndexFileError, match=r"b\.csv row 2, column song_id: song 2 stands there twice, first in "):
        read_song_level([table(HEADER + "2,3,1,3,1\n"), table(HEADER + "2,3,1,3,1\n", "b.csv")])


def test_songs_without_instants_get_one_window_over_the_whole() -> None:
    annotated = SongAnnotation(4, 15.0, np.tile([0.25, -0.5], (60, 1)))
    short = SongAnnotation(7, 15.0, np.tile([0.9, 0.9], (5, 1)))
    annotations = AnnotationSet(
        (annotated, short),
        {"valence.csv": "ab", "arousal.csv": "cd"},
        (),
        {4: ValenceArousal(1, 1), 7: ValenceArousal(-0.5, 0.75), 2: ValenceArousal(0, 0), 9: ValenceArousal(0.1, 0.2)},
        {"static.csv": "ef"},
        {2: "Somebody – Something"},
    )
    index = build_index(annotations, sound_end_s={9: 200.0})
    check_index(index, "built")
    assert index.song_ids == ("2", "4", "7", "9")
    assert index.titles == ("Somebody – Something", "Song 4", "Song 7", "Song 9")
    assert index.song.tolist() == [0, 1, 1, 1, 1, 1, 2, 3]
    np.testing.assert_array_equal(
        index.points[[0, 1, 6, 7]], np.float32([[0, 0], [0.25, -0.5], [-0.5, 0.75], [0.1, 0.2]])
    )
    assert index.start_s[[0, 6, 7]].tolist() == [0, 0, 0]
    assert index.end_s[[0, 6, 7]].tolist() == [45, 45, 200]
    assert index.provenance["song_level"] == "2 7 9"
    assert "3 songs, the first 2" in index.provenance["notes"]
    assert index.provenance["sha256 static.csv"] == "ef"
    # the reference is that of the instants alone
    assert index.reference_mean.valence == pytest.approx((60 * 0.25 + 5 * 0.9) / 65, abs=1e-6)


def test_song_level_alone_makes_an_index(tmp_path: Path) -> None:
    (tmp_path / "static_annotations_averaged_songs_1_2000.csv").write_text(HEADER + "2,3,1,7,1\n3,7,1,3,1\n")
    index = build_index(read_annotations(tmp_path))
    assert index.points.tolist() == [[-0.5, 0.5], [0.5, -0.5]]
    assert (index.reference_mean, index.reference_sd) == ((0, 0), (0.5, 0.5))


def test_deams_own_are_read(deam_dir: Path) -> None:
    found = read_annotations(deam_dir)
    assert found.song_level.keys() == {song.song_id for song in found.songs}
    assert found.song_level[2] == pytest.approx((-0.475, -0.5))
    assert found.song_level[2001] == pytest.approx((-0.45, 0.4))
