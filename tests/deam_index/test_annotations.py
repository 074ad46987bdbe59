"""DEAM's files are read as they are, and nothing else is taken for them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from emomusic_edge.deam_index.annotations import AnnotationSet, read_annotations
from emomusic_edge.deam_index.scale import RatingScale
from emomusic_edge.errors import IndexFileError

Cell = float | str


def write(folder: Path, name: str, rows: dict[int | str, list[Cell]], *, first_ms: int = 15000) -> None:
    columns = max(len(cells) for cells in rows.values())
    with (folder / name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["song_id", *(f"sample_{first_ms + 500 * i}ms" for i in range(columns))])
        writer.writerows([song, *cells] for song, cells in rows.items())


def read(folder: Path, valence: dict[int | str, list[Cell]], arousal: dict[int | str, list[Cell]]) -> AnnotationSet:
    write(folder, "valence.csv", valence)
    write(folder, "arousal.csv", arousal)
    return read_annotations(folder)


def test_both_axes_come_together_by_song(tmp_path: Path) -> None:
    found = read(tmp_path, {12: [0.1, -0.2], 3: [0.5, "-1.08E-05"]}, {3: [-1, 1], 12: [0.3, 0.4]})
    assert [song.song_id for song in found.songs] == [3, 12]
    assert [song.first_s for song in found.songs] == [15.0, 15.0]
    np.testing.assert_array_equal(found.songs[0].values, [[0.5, -1], [-1.08e-05, 1]])
    np.testing.assert_array_equal(found.songs[1].values, [[0.1, 0.3], [-0.2, 0.4]])
    assert found.notes == ()
    assert set(found.sha256) == {"valence.csv", "arousal.csv"}


def test_a_song_ends_with_the_last_instant_that_both_axes_have(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {1: [0.1, 0.2, 0.3], 2: [0.1, 0.2, "", "", 0.9], 3: [0.1, "", 0.3]},
        {1: [0.1, 0.2], 2: [0.1, 0.2, "", "", ""], 3: [0.4, 0.5, 0.6]},
    )
    np.testing.assert_array_equal(found.songs[0].values, [[0.1, 0.1], [0.2, 0.2]])
    np.testing.assert_array_equal(found.songs[1].values, [[0.1, 0.1], [0.2, 0.2]])
    np.testing.assert_array_equal(found.songs[2].values, [[0.1, 0.4], [np.nan, np.nan], [0.3, 0.6]])


def test_a_song_without_a_shared_instant_is_left_out_and_told(tmp_path: Path) -> None:
    found = read(tmp_path, {1: [0.1, 0.2], 2: [0.1, ""]}, {1: [0.1, 0.2], 2: ["", 0.1]})
    assert [song.song_id for song in found.songs] == [1]
    assert found.notes == ("without an instant that both axes have: songs 2",)


def test_files_in_tenfold_units_are_rescaled_and_told(tmp_path: Path) -> None:
    found = read(tmp_path, {1: [5, -2.5, 10]}, {1: [-6, 2.5, ""]})
    np.testing.assert_allclose(found.songs[0].values, [[0.5, -0.6], [-0.25, 0.25]], rtol=1e-15)
    assert found.notes == (
        "valence.csv holds values from -2.5 to 10: read as -10..10 and divided by ten",
        "arousal.csv holds values from -6 to 2.5: read as -10..10 and divided by ten",
    )


def test_both_files_must_be_on_one_scale(tmp_path: Path) -> None:
    with pytest.raises(IndexFileError, match=r"arousal\.csv is in -10\.\.10 and .*valence\.csv in -1\.\.1; the same"):
        read(tmp_path, {1: [0.5, -0.25, 1]}, {1: [5, -2.5, 10]})
    assert read(tmp_path, {1: [5, -6], 2: [1, 2]}, {1: ["", ""], 2: [-9, 9.5]}).songs[0].song_id == 2


@pytest.mark.parametrize(
    ("low", "high"),
    [(1, 9), (0, 1), (0, 10), (0, 100), (-3, 3), (-5, 5), (-4, 4), (-6, 6), (-7, 7), (-9, 9), (-10, -1)],
)
@pytest.mark.parametrize("axis", ["valence", "arousal"])
def test_another_scale_is_refused(tmp_path: Path, axis: str, low: float, high: float) -> None:
    generator = np.random.default_rng(0)
    other: dict[int | str, list[Cell]] = {
        song: [float(value) for value in generator.uniform(low, high, 30).round(3)] for song in range(1, 41)
    }
    other[1][:2] = [low, high]
    good: dict[int | str, list[Cell]] = {
        song: [float(value) for value in generator.uniform(-1, 1, 30).round(3)] for song in range(1, 41)
    }
    place = r"row \d+, column sample_\d+ms"
    told = rf"{axis}\.csv holds values from {low:g} to {high:g} \(the farthest from 0: {place}\): neither -1\.\.1 nor"
    with pytest.raises(IndexFileError, match=told) as caught:
        read(tmp_path, *((other, good) if axis == "valence" else (good, other)))
    assert "--scale" in caught.value.mend


@pytest.mark.parametrize("bound", [6.0, 7.0, 8.3, 9.0])
def test_both_files_on_another_signed_scale_are_no_tens_and_read_as_declared(tmp_path: Path, bound: float) -> None:
    valence: dict[int | str, list[Cell]] = {1: [bound, -bound / 2], 2: [-bound, 3.0]}
    arousal: dict[int | str, list[Cell]] = {1: [-2.0, bound / 2], 2: [3.0, -bound]}
    with pytest.raises(
        IndexFileError, match=r"valence\.csv holds .*row 2, column sample_15000ms.*nor surely -10\.\.10"
    ):
        read(tmp_path, valence, arousal)
    found = read_annotations(tmp_path, RatingScale((-bound, -10.0), (bound, 10.0)))
    np.testing.assert_allclose(found.songs[0].values, [[1.0, -0.2], [-0.5, bound / 20]], rtol=1e-15)
    assert found.notes == (f"valence and arousal are read as -{bound:g}..{bound:g},-10..10, as declared",)


def test_a_declared_scale_is_held_to(tmp_path: Path) -> None:
    write(tmp_path, "valence.csv", {1: [5, 9], 2: [1, 3]})
    write(tmp_path, "arousal.csv", {1: [5, 9], 2: [1, 9.5]})
    with pytest.raises(IndexFileError, match=r"arousal\.csv row 3, column sample_15500ms is 9\.5; 1\.\.9 was expected"):
        read_annotations(tmp_path, RatingScale((1.0, 1.0), (9.0, 9.0)))


def test_a_few_happy_songs_are_no_other_scale(tmp_path: Path) -> None:
    found = read(tmp_path, {song: [0.1, 0.9] for song in range(29)}, {song: [0.1, -0.9] for song in range(29)})
    assert len(found.songs) == 29
    with pytest.raises(IndexFileError, match=r"valence\.csv holds values from 0\.1 to 0\.9"):
        read(tmp_path, {song: [0.1, 0.9] for song in range(30)}, {song: [0.1, -0.9] for song in range(30)})


def test_deam_times_ten_is_deam(deam_dir: Path, tmp_path: Path) -> None:
    for name in ("valence.csv", "arousal.csv"):
        with (deam_dir / name).open(newline="") as file:
            header, *rows = csv.reader(file)
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(
                [row[0], *(repr(10 * float(cell)) if cell.strip() else "" for cell in row[1:])] for row in rows
            )
    found, deam = read_annotations(tmp_path), read_annotations(deam_dir)
    assert len(found.notes) == 2
    assert [song.song_id for song in found.songs] == [song.song_id for song in deam.songs]
    for ours, theirs in zip(found.songs, deam.songs, strict=True):
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-12)


def test_a_few_of_deams_songs_times_ten_are_known_and_the_same_values_of_other_songs_are_not(
    deam_dir: Path, tmp_path: Path
) -> None:
    def write_tens(*, turned: bool) -> None:
        for name in ("valence.csv", "arousal.csv"):
            with (deam_dir / name).open(newline="") as file:
                header, *rows = csv.reader(file)
            rows = rows[:40]
            numbers = [row[0] for row in rows]
            tens = [[repr(10 * float(cell)) if cell.strip() else "" for cell in row[1:]] for row in rows]
            with (tmp_path / name).open("w", newline="") as file:
                songs = zip(numbers[::-1] if turned else numbers, tens, strict=True)
                csv.writer(file).writerows([header, *([number, *ten] for number, ten in songs)])

    write_tens(turned=False)
    assert len(read_annotations(tmp_path).songs) == 40
    write_tens(turned=True)
    with pytest.raises(IndexFileError, match=r"valence\.csv holds values .* nor surely"):
        read_annotations(tmp_path)


def test_one_slip_does_not_rescale_a_file(tmp_path: Path) -> None:
    with pytest.raises(IndexFileError, match=r"arousal\.csv row 3, column sample_16000ms is 5; -1\.\.1 was expected"):
        read(tmp_path, {1: [0.1] * 9, 2: [0.1] * 9}, {1: [0.1] * 9, 2: [0.1, 0.2, 5, *[0.1] * 6]})


def test_larger_units_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        IndexFileError, match=r"valence\.csv row 2, column sample_15500ms is 50; -10\.\.10 was expected"
    ):
        read(tmp_path, {1: [-5, 50]}, {1: [0.1, 0.2]})


@pytest.mark.parametrize("cell", ["x", "nan", "inf", "-inf", "0,5", "1_0", "0x1", "1e9999", "٣", "--1", "."])
def test_a_cell_that_is_no_number_is_named(tmp_path: Path, cell: str) -> None:
    with pytest.raises(IndexFileError, match=r"arousal\.csv row 3, column sample_15500ms is "):
        read(tmp_path, {1: [0.1, 0.2], 2: [0.1, 0.2]}, {1: [0.1, 0.2], 2: [0.1, cell]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "row 1, column 1 is ''"),
        ("song_id\n1\n", "row 1, column 1 is 'song_id'"),
        ("song_id,time,valence\n1,15.0,0.1\n", "row 1, column 2 is 'time'; 'sample_15000ms' was expected"),
        ("song_id,sample_15000ms,sample_16000ms\n1,0,0\n", "row 1, column 3 is 'sample_16000ms'; 'sample_15500ms'"),
        ("song_id, valence_mean, valence_std\n2,3.1,0.94\n", "column 2 is 'valence_mean'"),
        ("song_id,sample_15000ms\n", "holds no song"),
        ("song_id,sample_15000ms\n1,0.1\n1,0.2\n", "row 3, column song_id: song 1 stands there twice, first in row 2"),
        ("song_id,sample_15000ms\n1,0.1\n01,0.2\n", "song 1 stands there twice"),
        (
            "song_id,sample_15000ms\n1,0.1,0.2\n",
            "row 2 has 3 cells for 2 columns: column 3 is '0.2', after the last, 'sample_15000ms'",
        ),
        ("song_id,sample_15000ms\nx,0.1\n", "row 2, column song_id is 'x'"),
        ("song_id,sample_15000ms\n-1,0.1\n", "column song_id is '-1'"),
        ("song_id,sample_14500ms\n1,0.1\n", r"starts at 14\.5 s and .* at 15\.0 s"),
        (
            "song_id,sample_15000ms\n2,0.1\n",
            r"arousal\.csv row 2, column song_id: song 1 stands nowhere in .*valence\.csv; 2 songs in all stand",
        ),
        ("song_id,sample_15000ms\n1,0.1\n7,0.1\n", r"valence\.csv row 3, .*song 7 stands nowhere in .*arousal\.csv\."),
        ("song_id,sample_15000ms\n1,\n", "share no annotated instant"),
    ],
)
def test_another_layout_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "arousal.csv", {1: [0.1]})
    (tmp_path / "valence.csv").write_text(text)
    with pytest.raises(IndexFileError, match=message) as caught:
        read_annotations(tmp_path)
    assert "--deam" in caught.value.mend


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00song", b"song_id,sample_15000ms\n1,\x00\n", b"song_id\n" + b"9" * 200_000]
)
def test_bytes_that_are_no_csv_are_refused(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, "arousal.csv", {1: [0.1]})
    (tmp_path / "valence.csv").write_bytes(content)
    with pytest.raises(IndexFileError, match=r"valence\.csv"):
        read_annotations(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(IndexFileError, match=r"holds neither valence\.csv with arousal\.csv"):
        read_annotations(tmp_path)


def test_a_byte_order_mark_and_spaces_do_not_matter(tmp_path: Path) -> None:
    write(tmp_path, "arousal.csv", {1: [0.1]})
    (tmp_path / "valence.csv").write_text("\ufeffsong_id, sample_15000ms \r\n 1, 0.25 \r\n\r\n")
    np.testing.assert_array_equal(read_annotations(tmp_path).songs[0].values, [[0.25, 0.1]])


def test_deam_as_it_is(deam_dir: Path) -> None:
    found = read_annotations(deam_dir)
    assert len(found.songs) == 1802
    assert found.notes == ()
    assert {song.first_s for song in found.songs} == {15.0}
    assert not any(np.isnan(song.values).any() for song in found.songs)
    lengths = {song.song_id: len(song.values) for song in found.songs}
    assert {length for song, length in lengths.items() if song <= 2000} == {60}
    # longer in valence by one stray instant, at once (3) or after minutes (22)
    assert lengths[3] == lengths[22] == 60
    # of unequal lengths, the shorter counts: valence, then arousal
    assert (lengths[2002], lengths[2045], lengths[2011]) == (229, 146, 1223)
    assert (lengths[2020], lengths[2036], lengths[2042]) == (348, 554, 498)
