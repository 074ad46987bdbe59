"""What is wrong with an index's audio and sources is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sample_index import sample_index
from tone_files import write_tone

from emomusic_edge.deam_index.alignment import people_reference
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.deam_index.csv_rows import SourceFile
from emomusic_edge.deam_index.verify import Problem, check_audio, check_people, check_sources


def test_each_audio_file_is_looked_at(tmp_path: Path) -> None:
    index = sample_index(song_end_s=np.array([45.0, 44.5, 10.0], np.float32))
    told: list[tuple[int, int]] = []
    assert list(check_audio(index, AudioRoots(tmp_path), lambda *at: told.append(at))) == [
        Problem(file, "is not there, or leads out of the audio folder", missing=True) for file in index.files
    ]
    assert told == [(1, 3), (2, 3), (3, 3)]
    write_tone(tmp_path / "2.flac", 44.64).rename(tmp_path / "2.mp3")
    write_tone(tmp_path / "pieces" / "07.ogg", 43.9)
    (tmp_path / "čaj.ogg").write_bytes(b"no sound")
    problems = list(check_audio(index, AudioRoots(tmp_path)))
    assert [problem.what for problem in problems] == ["pieces/07.ogg", "čaj.ogg"]
    assert problems[0].told == "has 43.9 s; the index says 44.5 s"
    assert "not a readable audio file" in problems[1].told
    assert not any(problem.missing for problem in problems)


def test_sources_are_held_against_their_hashes() -> None:
    good = SourceFile("x/valence.csv", "valence.csv", b"a")
    index = sample_index(provenance={"sha256 valence.csv": good.sha256})
    assert list(check_sources(index, [good])) == []
    other = SourceFile("x/valence.csv", "valence.csv", b"b")
    unknown = SourceFile("x/y.csv", "y.csv", b"b")
    problems = list(check_sources(index, [other, unknown]))
    assert problems[0].told.startswith("sha256 ")
    assert problems[1].told == "the index was not made from a file of this name (valence.csv)"


def test_an_index_made_for_other_people_is_told() -> None:
    same = people_reference()
    assert "valence -3..3, mean 0.39, sd 1.79, counts 1870 3029 3570 3403 5804 5141 3052" in same
    other = same.replace("0.39", "0.5")
    for provenance, told in (
        ({}, []),
        ({"people": same}, []),
        ({"people": other}, [f"the index was made for other people ({other}); mappings use {same}"]),
        (
            {"people": same, "mine: people": other},
            [f"the index was made for other people ({other}); mappings use {same}"],
        ),
    ):
        assert [problem.told for problem in check_people(sample_index(provenance=provenance))] == told
