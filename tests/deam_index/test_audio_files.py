"""Only what lies inside the declared folders is played."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sample_index import sample_index

from emomusic_edge.contracts import PlaybackStatus, ValenceArousal
from emomusic_edge.deam_index.audio_files import AudioRoots, file_stamps, playable_files
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.matcher import Matcher


def index_with(*files: str) -> MusicIndex:
    count = len(files)
    return replace(
        sample_index(),
        points=np.zeros((count, 2), np.float32),
        start_s=np.zeros(count, np.float32),
        end_s=np.ones(count, np.float32),
        song=np.arange(count, dtype=np.int32),
        song_ids=tuple(map(str, range(count))),
        titles=files,
        files=files,
        song_end_s=np.ones(count, np.float32),
    )


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "folder.ogg").mkdir()
    (tmp_path / "outside").mkdir()
    for name in ("a.ogg", "sub/b.ogg", "sub/deep/c.ogg", "..d.ogg"):
        (folder / name).write_bytes(b"")
    (tmp_path / "outside" / "secret.ogg").write_bytes(b"")
    (folder / "inward.ogg").symlink_to("sub/b.ogg")
    (folder / "outward.ogg").symlink_to(tmp_path / "outside" / "secret.ogg")
    (folder / "way-out").symlink_to(tmp_path / "outside")
    (folder / "way-in").symlink_to("sub")
    (folder / "dangling.ogg").symlink_to("nowhere.ogg")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe.ogg")
    return folder


CASES = {
    "a.ogg": True,
    "sub/b.ogg": True,
    "sub/deep/c.ogg": True,
    "..d.ogg": True,
    "inward.ogg": True,
    "way-in/b.ogg": True,
    "gone.ogg": False,
    "gone/a.ogg": False,
    "folder.ogg": False,
    "pipe.ogg": False,
    "dangling.ogg": False,
    "loop/a.ogg": False,
    "loop": False,
    "outward.ogg": False,
    "way-out/secret.ogg": False,
    "../outside/secret.ogg": False,
    "sub/../../outside/secret.ogg": False,
    "way-in/../../outside/secret.ogg": False,
    "/etc/passwd": False,
    "a.ogg/b": False,
    "": False,
}


def test_each_file_by_both_ways(music: Path) -> None:
    roots = AudioRoots(music)
    assert {file: roots.path_of(file) is not None for file in CASES} == CASES
    assert dict(zip(CASES, playable_files(index_with(*CASES), roots).tolist(), strict=True)) == CASES
    assert roots.path_of("way-in/b.ogg") == (music / "sub" / "b.ogg").resolve()


def test_the_declared_folder_itself_may_be_a_link(music: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(music)
    roots = AudioRoots(tmp_path / "link")
    assert playable_files(index_with("a.ogg", "outward.ogg"), roots).tolist() == [True, False]


def test_names_lead_to_folders_of_their_own(music: Path, tmp_path: Path) -> None:
    roots = AudioRoots(music, {"other": tmp_path / "outside", "sub": music / "sub" / "deep", "none": tmp_path / "none"})
    files = ("other/secret.ogg", "sub/c.ogg", "sub/b.ogg", "a.ogg", "other", "none/a.ogg", "other/../music/a.ogg")
    expected = [True, True, False, True, False, False, False]
    assert [roots.path_of(file) is not None for file in files] == expected
    assert playable_files(index_with(*files), roots).tolist() == expected


def test_a_missing_folder_has_nothing(tmp_path: Path) -> None:
    assert playable_files(sample_index(), AudioRoots(tmp_path / "none")).tolist() == [False] * 3


def test_the_place_of_a_file_is_in_its_own_folder(tmp_path: Path) -> None:
    roots = AudioRoots(tmp_path / "music", {"other": tmp_path / "nas"})
    assert roots.place_of("other/a/b.ogg") == tmp_path / "nas" / "a" / "b.ogg"
    assert roots.place_of("a/b.ogg") == tmp_path / "music" / "a" / "b.ogg"


def test_a_song_that_went_away_is_told_in_its_own_folder(tmp_path: Path) -> None:
    roots = AudioRoots(tmp_path / "music", {"nas": tmp_path / "nas"})
    index = replace(sample_index(), files=("nas/a.ogg",) * 3)
    matcher = Matcher(index, roots, np.ones(3, np.bool_), ChoiceRule(dwell_s=1.0))
    segment = matcher.choose(ValenceArousal(0.0, 0.0), 0.0, PlaybackStatus(None, 0.0, True))
    assert segment is not None
    assert segment.path == tmp_path / "nas" / "a.ogg"


def test_size_and_time_of_each_file(music: Path) -> None:
    (music / "sub" / "b.ogg").write_bytes(b"12345")
    os.utime(music / "sub" / "b.ogg", ns=(7, 9))
    stamps = file_stamps(
        index_with("sub/b.ogg", "inward.ogg", "way-in/b.ogg", "outward.ogg", "gone"), AudioRoots(music)
    )
    assert stamps.tolist() == [[5, 9], [5, 9], [5, 9], [-1, -1], [-1, -1]]
