"""The index made from annotations, and the one that ships."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from emomusic_edge.affect import DEAM
from emomusic_edge.deam_index.annotations import AnnotationSet, SongAnnotation, read_annotations
from emomusic_edge.deam_index.build import build_index, measure_audio, quantiles_of
from emomusic_edge.deam_index.index_file import MusicIndex, index_bytes, read_index
from emomusic_edge.deam_index.music_index import check_index
from emomusic_edge.errors import IndexFileError
from emomusic_edge.paths import packaged_deam_index


def annotated(song_id: int, instants: int, valence: float = 0.25, arousal: float = -0.5) -> SongAnnotation:
    return SongAnnotation(song_id, 15.0, np.tile([valence, arousal], (instants, 1)))


def annotations(*songs: SongAnnotation) -> AnnotationSet:
    return AnnotationSet(songs, {"valence.csv": "ab", "arousal.csv": "cd"}, ("a note",))


@pytest.fixture(scope="module")
def shipped() -> MusicIndex:
    return read_index(packaged_deam_index())


def test_songs_too_short_for_a_window_are_left_out() -> None:
    index = build_index(annotations(annotated(2, 60), annotated(5, 19), annotated(9, 35, -0.75, 0.5)))
    check_index(index, "built")
    assert index.song_ids == ("2", "9")
    assert index.files == ("2.mp3", "9.mp3")
    assert index.song.tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert index.start_s.tolist() == [15, 20, 25, 30, 35, 15, 20]
    assert index.end_s.tolist() == [25, 30, 35, 40, 45, 25, 30]
    assert index.song_end_s.tolist() == [45.0, 32.5]
    np.testing.assert_array_equal(index.points, [[0.25, -0.5]] * 5 + [[-0.75, 0.5]] * 2)
    assert index.provenance["sha256 valence.csv"] == "ab"
    assert index.provenance["notes"] == "a note"
    with pytest.raises(IndexFileError, match="no song is annotated for 10 s"):
        build_index(annotations(annotated(5, 19)))


def test_reference_statistics_are_those_of_the_instants() -> None:
    low, high = annotated(1, 20, -0.5, -0.1), annotated(2, 60, 0.5, 0.3)
    index = build_index(annotations(low, high))
    assert index.reference_mean == pytest.approx((0.25, 0.2))
    # a two-point distribution, a quarter and three quarters: sd = distance * sqrt(1/4 * 3/4)
    assert index.reference_sd == pytest.approx((3**0.5 / 4, 0.4 * 3**0.5 / 4), abs=1e-5)
    # at their mid-ranks, an eighth and five eighths, and evenly between
    expected = [[-0.5, -0.1], [-0.5, -0.1], [0.0, 0.1], [0.5, 0.3], [0.5, 0.3]]
    rows = np.array([[0, 12, 37, 63, 100], [0, 12, 38, 63, 100]])
    found = (index.reference_quantiles[rows[0]] + index.reference_quantiles[rows[1]]) / 2
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_quantiles_of_ratings_without_heavy_ties_are_plain_ones() -> None:
    ratings = np.round(np.random.default_rng(0).normal(0, 0.3, 5000), 3)
    np.testing.assert_array_equal(quantiles_of(ratings), np.quantile(ratings, np.linspace(0, 1, 101)))
    np.testing.assert_array_equal(quantiles_of(np.full(5, 0.25)), np.full(101, 0.25))


def test_the_index_states_its_windows(shipped: MusicIndex) -> None:
    assert (shipped.window_s, shipped.hop_s) == (10.0, 5.0)
    assert "-1..1" in shipped.provenance["scale"]


def test_measured_audio_bounds_the_windows() -> None:
    songs = annotations(annotated(1, 60), annotated(2, 60), annotated(3, 60, 0.5, 0.5))
    index = build_index(songs, sound_end_s={1: 44.6, 2: 32.0, 3: 200.0})
    check_index(index, "built")
    assert index.song_end_s.tolist() == np.float32([44.6, 32.0, 200.0]).tolist()
    assert index.end_s.tolist() == np.float32([25, 30, 35, 40, 44.6, 25, 30, 32, 32, 25, 30, 35, 40, 45]).tolist()
    assert build_index(songs, sound_end_s={1: 5.0}).song_ids == ("2", "3")


def test_audio_is_measured_from_the_files(tmp_path: Path) -> None:
    # the name says mp3; what decides is the content
    with wave.open(str(tmp_path / "2.mp3"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 3))
    assert measure_audio(tmp_path, [2, 3]).end_s == {2: 3.0}
    (tmp_path / "3.mp3").write_bytes(b"no sound")
    found = measure_audio(tmp_path, [2, 3])
    assert found.end_s == {2: 3.0}
    assert found.troubles.keys() == {3}
    assert found.troubles[3].startswith("3.mp3 does not decode")


def test_what_ships_is_small_and_says_where_it_comes_from(shipped: MusicIndex) -> None:
    assert packaged_deam_index().stat().st_size < 400_000
    assert "Aljanaki" in shipped.provenance["citation"]
    assert "CC BY-NC" in shipped.provenance["licence"]
    note = (packaged_deam_index().parent / "README.md").read_text()
    assert shipped.provenance["citation"].split(".")[0] in " ".join(note.split())
    for name in ("valence.csv", "arousal.csv"):
        assert len(shipped.provenance[f"sha256 {name}"]) == 64


def test_what_ships_holds_all_of_deam(shipped: MusicIndex) -> None:
    assert (shipped.name, shipped.window_count, shipped.song_count) == ("deam", 11_171, 1_802)
    numbers = [int(song_id) for song_id in shipped.song_ids]
    assert numbers == sorted(numbers)
    assert (numbers[0], numbers[-1]) == (2, 2058)
    assert np.unique(shipped.song).tolist() == list(range(1_802))
    windows_per_song = np.bincount(shipped.song)
    excerpts = np.array(numbers) <= 2000
    assert excerpts.sum() == 1_744
    assert set(windows_per_song[excerpts]) == {5}
    assert set(shipped.song_end_s[excerpts]) == {45.0}
    np.testing.assert_array_equal(np.unique(shipped.start_s % 5), [0.0])
    np.testing.assert_array_equal(shipped.end_s - shipped.start_s, 10.0)
    assert shipped.start_s.min() == 15.0


def test_what_ships_has_the_statistics_of_the_deam_scale(shipped: MusicIndex) -> None:
    assert shipped.reference_mean == pytest.approx(DEAM.mean, abs=5e-4)
    assert shipped.reference_sd == pytest.approx(DEAM.sd, abs=5e-4)
    # within the range of the annotations themselves
    assert shipped.reference_quantiles[0].tolist() == pytest.approx([-0.832, -0.77235], abs=1e-5)
    assert shipped.reference_quantiles[-1].tolist() == pytest.approx([0.716, 0.898], abs=1e-5)
    assert (shipped.points >= shipped.reference_quantiles[0]).all()
    assert (shipped.points <= shipped.reference_quantiles[-1]).all()
    # windows of one song differ little against songs
    songs = [shipped.points[shipped.song == row] for row in range(shipped.song_count)]
    assert np.median([song.std(axis=0).max() for song in songs]) < 0.05
    assert np.std([song.mean(axis=0) for song in songs], axis=0) == pytest.approx([0.24, 0.28], abs=0.01)


# Window means worked out from single cells of the two files, apart from the code: with Python's csv and fractions. The
# last windows of the nine songs whose files differ in length are among them; 3 and 22 of these have gaps.
BY_HAND = [
    # song, start_s, valence, arousal
    ("2", 15.0, -0.08514, -0.137974),
    ("2", 35.0, -0.319857, -0.262745),
    ("3", 15.0, -0.20846, -0.153975),
    ("3", 35.0, -0.301661, -0.247237),
    ("22", 15.0, 0.0161723, -0.157835),
    ("22", 35.0, 0.0127893, -0.170046),
    ("1000", 25.0, 0.334369, 0.497053),
    ("2000", 20.0, 0.41825, 0.4641),
    ("2002", 15.0, 0.1717, -0.2859),
    ("2002", 115.0, 0.5909, 0.6163),
    ("2011", 615.0, -0.1548, -0.1018),
    ("2020", 175.0, 0.5007, 0.5492),
    ("2027", 215.0, 0.1135, 0.5034),
    ("2036", 280.0, -0.22775, -0.0405),
    ("2042", 250.0, -0.2576, -0.0698),
    ("2045", 75.0, -0.0472, -0.4475),
    ("2058", 15.0, -0.1646, 0.0235),
]


def test_a_dozen_windows_by_hand(shipped: MusicIndex) -> None:
    for song_id, start_s, valence, arousal in BY_HAND:
        row = np.flatnonzero((shipped.song == shipped.song_ids.index(song_id)) & (shipped.start_s == start_s))
        assert len(row) == 1, (song_id, start_s)
        assert shipped.points[row[0]].tolist() == pytest.approx([valence, arousal], abs=6e-6), (song_id, start_s)


def test_the_annotation_files_give_what_ships_byte_for_byte(deam_dir: Path) -> None:
    assert index_bytes(build_index(read_annotations(deam_dir))) == packaged_deam_index().read_bytes()


def test_other_ratings_do_not_go_under_deams_name() -> None:
    index = build_index(annotations(annotated(2, 60)))
    assert index.name == "ratings"
    assert not any("DEAM" in title for title in index.titles)
    assert "citation" not in index.provenance
