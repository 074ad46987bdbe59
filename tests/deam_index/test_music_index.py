"""The rules of an index: each, broken alone, is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sample_index import sample_index

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.deam_index.music_index import check_index
from emomusic_edge.errors import IndexFileError


def f32(*values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, np.float32)


def test_the_sample_keeps_all_rules() -> None:
    check_index(sample_index(), "sample")
    assert sample_index().window_count == 5
    assert sample_index().song_count == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name ''"),
        ({"name": "a\x1b[31m"}, "name"),
        ({"points": np.zeros((5, 2))}, "points has dtype float64"),
        ({"points": np.zeros((5, 3), np.float32)}, "points has shape"),
        ({"points": f32([0, 0], [0, 1.01], [0, 0], [0, 0], [0, 0])}, "points row 1"),
        ({"points": f32([0, 0], [0, 0], [np.inf, 0], [0, 0], [0, 0])}, "points row 2 is not finite"),
        ({"points": f32([0, 0], [0, np.nan], [0, 0], [0, 0], [0, 0])}, "points row 1 is not finite"),
        ({"points": np.zeros((0, 2), np.float32)}, "no window"),
        ({"start_s": f32(0, 0, 0, 0)}, "start_s has 4 rows for 5 windows"),
        ({"start_s": f32(0, 0, -1, 0, 0)}, "start_s row 2"),
        ({"end_s": f32(15, 30, 10, 15, 10)}, "end_s row 0"),
        ({"end_s": f32(25, 30, 10, 15, 10.5)}, "end_s row 4 .*no later than"),
        ({"song": np.array([0, 0, 1, 3, 2], np.int32)}, "song row 3"),
        ({"song": np.array([0, 0, 1, -1, 2], np.int32)}, "song row 3"),
        ({"song": np.array([0, 0, 1, 1, 2], np.int64)}, "song has dtype int64"),
        ({"song_ids": ("a", "b", "a")}, "song_ids"),
        ({"song_ids": ("a", "", "c")}, "song_ids row 1"),
        ({"titles": ("a", "b")}, "titles has 2 rows for 3 songs"),
        ({"titles": ("a", "b\n", "c")}, "titles row 1"),
        ({"song_end_s": f32(45, 45)}, "song_end_s has 2 rows"),
        ({"reference_mean": ValenceArousal(float("nan"), 0.0)}, "reference_mean"),
        ({"reference_mean": ValenceArousal(0.0, -1.5)}, "reference_mean"),
        ({"reference_sd": ValenceArousal(0.0, 0.2)}, "reference_sd"),
        ({"reference_sd": ValenceArousal(0.2, float("nan"))}, "reference_sd"),
        ({"reference_quantiles": f32([0, 0])}, "at least 2"),
        ({"reference_quantiles": f32([0, 0], [0.5, -0.1])}, "reference_quantiles row 0 .*never fall"),
        ({"reference_quantiles": f32([0, 0], [0.5, 1.5])}, "reference_quantiles row 1"),
    ],
)
def test_a_broken_rule_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(IndexFileError, match=message):
        check_index(sample_index(**changes), "sample")


@pytest.mark.parametrize(
    "file",
    ["", ".", "..", "/etc/passwd", "../a.ogg", "a/../../b.ogg", "a/..", "//host/a.ogg", "..\\a.ogg", "a\0.ogg"],
)
def test_a_file_name_that_leaves_the_audio_folder_is_refused(file: str) -> None:
    with pytest.raises(IndexFileError, match="files row 1"):
        check_index(sample_index(files=("a.ogg", file, "c.ogg")), "sample")


@pytest.mark.parametrize("file", ["a.ogg", "b/c d.ogg", "..a.ogg", "a..b/c.mp3", "čaj.flac"])
def test_a_file_name_inside_it_is_allowed(file: str) -> None:
    check_index(sample_index(files=("a.ogg", file, "c.ogg")), "sample")
