"""Several indexes become one, and every file is found where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sample_index import sample_index

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.deam_index.audio_files import AudioRoots, playable_files
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.deam_index.merge import Part, merge
from emomusic_edge.deam_index.music_index import check_index
from emomusic_edge.deam_index.roots_file import read_roots, write_roots
from emomusic_edge.errors import IndexFileError
from emomusic_edge.paths import packaged_deam_index


def test_windows_songs_and_files_of_both(tmp_path: Path) -> None:
    one = sample_index()
    two = sample_index(song_ids=("2", "x", "y"), name="other", window_s=10.0)
    merged = merge([Part("a", one, AudioRoots(tmp_path / "one")), Part("b-2", two, AudioRoots(tmp_path / "two"))])
    index = merged.index
    check_index(index, "merged")
    assert index.window_count == 10
    assert index.song.tolist() == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5]
    assert index.song_ids == ("a:2", "piece-07", "čaj", "b-2:2", "x", "y")
    assert index.files == ("a/2.mp3", "a/pieces/07.ogg", "a/čaj.ogg", "b-2/2.mp3", "b-2/pieces/07.ogg", "b-2/čaj.ogg")
    assert merged.roots == {"a": tmp_path / "one", "b-2": tmp_path / "two"}
    assert index.provenance["a: source"] == "made up"
    assert index.window_s == 0.0
    for folder, name in (("one", "2.mp3"), ("two", "čaj.ogg")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(b"")
    there = playable_files(index, AudioRoots(tmp_path, merged.roots))
    assert there.tolist() == [True, False, False, False, False, True]


def test_a_merged_index_can_be_merged_again(tmp_path: Path) -> None:
    parts = [Part(name, sample_index(), AudioRoots(tmp_path / name)) for name in ("a", "b")]
    first = merge(parts)
    again = merge(
        [
            Part("all", first.index, AudioRoots(tmp_path, first.roots)),
            Part("c", first.index, AudioRoots(tmp_path, {"a": tmp_path / "z", "b": tmp_path / "b"})),
        ]
    )
    assert again.roots == {
        "a": tmp_path / "a",
        "b": tmp_path / "b",
        "c-a": tmp_path / "z",
        "c-b": tmp_path / "b",
    }
    assert again.index.files[0] == "a/2.mp3"
    assert again.index.files[6] == "c-a/2.mp3"
    check_index(again.index, "merged")


def test_reference_statistics_are_those_of_the_pool(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    pools = [np.clip(generator.normal(at, 0.2, (n, 2)), -1, 1) for at, n in (((-0.4, 0.1), 2000), ((0.3, 0.5), 6000))]
    parts = []
    for label, pool in zip("ab", pools, strict=True):
        index = sample_index(
            points=pool.astype(np.float32),
            start_s=np.zeros(len(pool), np.float32),
            end_s=np.ones(len(pool), np.float32),
            song=np.zeros(len(pool), np.int32),
            song_ids=(label,),
            titles=(label,),
            files=(f"{label}.ogg",),
            song_end_s=np.ones(1, np.float32),
            reference_mean=ValenceArousal(*pool.mean(axis=0)),
            reference_sd=ValenceArousal(*pool.std(axis=0)),
            reference_quantiles=np.quantile(pool, np.linspace(0, 1, 101), axis=0).astype(np.float32),
        )
        parts.append(Part(label, index, AudioRoots(tmp_path)))
    index = merge(parts).index
    together = np.concatenate(pools)
    assert index.reference_mean == pytest.approx(together.mean(axis=0), abs=1e-6)
    assert index.reference_sd == pytest.approx(together.std(axis=0), abs=1e-6)
    expected = np.quantile(together, np.linspace(0, 1, 101), axis=0)
    np.testing.assert_allclose(index.reference_quantiles[1:-1], expected[1:-1], atol=0.02)
    np.testing.assert_allclose(index.reference_quantiles[[0, -1]], expected[[0, -1]], atol=1e-6)


def test_deam_merged_with_itself_keeps_its_statistics(tmp_path: Path) -> None:
    deam = read_index(packaged_deam_index())
    index = merge([Part(name, deam, AudioRoots(tmp_path)) for name in ("a", "b")]).index
    assert index.reference_mean == pytest.approx(deam.reference_mean)
    assert index.reference_sd == pytest.approx(deam.reference_sd)
    np.testing.assert_allclose(index.reference_quantiles, deam.reference_quantiles, atol=1e-6)


def test_a_merged_index_and_another_of_a_parts_name_keep_their_folders(tmp_path: Path) -> None:
    first = merge([Part(name, sample_index(), AudioRoots(tmp_path / name)) for name in ("deam", "mine")])
    elsewhere = tmp_path / "elsewhere"
    for parts in (
        [
            Part("all", first.index, AudioRoots(tmp_path, first.roots)),
            Part("mine", sample_index(), AudioRoots(elsewhere)),
        ],
        [
            Part("mine", sample_index(), AudioRoots(elsewhere)),
            Part("all", first.index, AudioRoots(tmp_path, first.roots)),
        ],
    ):
        again = merge(parts)
        check_index(again.index, "merged")
        roots = AudioRoots(tmp_path, again.roots)
        found = [roots.place_of(file) for file in again.index.files]
        expected = [part.roots.place_of(file) for part in parts for file in part.index.files]
        assert found == expected
        assert len(again.roots) == 3


def test_names_of_folders_stay_free_and_short(tmp_path: Path) -> None:
    long = "x" * 64
    inner = {"a": tmp_path / "1", "b": tmp_path / "2", long: tmp_path / "3"}
    index = sample_index(files=("a/2.mp3", "b/07.ogg", f"{long}/y.ogg"))
    parts = [
        Part("b-a", sample_index(), AudioRoots(tmp_path / "4")),
        Part("a", sample_index(), AudioRoots(tmp_path / "5")),
        Part("b", index, AudioRoots(tmp_path, inner)),
        Part(long[:63], index, AudioRoots(tmp_path, inner)),
    ]
    merged = merge(parts)
    write_roots(tmp_path / "all.npz", merged.roots)
    roots = AudioRoots(tmp_path, read_roots(tmp_path / "all.npz"))
    expected = [part.roots.place_of(file) for part in parts for file in part.index.files]
    assert [roots.place_of(file) for file in merged.index.files] == expected


@pytest.mark.parametrize("labels", [("a", "a"), ("a", ""), ("a", "b/c"), ("..", "b"), ("a",)])
def test_labels_that_will_not_do_are_refused(tmp_path: Path, labels: tuple[str, ...]) -> None:
    with pytest.raises(IndexFileError):
        merge([Part(label, sample_index(), AudioRoots(tmp_path)) for label in labels])


def test_roots_come_back_from_their_file(tmp_path: Path) -> None:
    index_file = tmp_path / "all.npz"
    roots = {"deam": tmp_path / 'q"uo\\te', "mine": tmp_path / "čaj"}
    assert write_roots(index_file, roots) == tmp_path / "all.audio.toml"
    assert read_roots(index_file) == roots
    assert read_roots(tmp_path / "other.npz") == {}
    (tmp_path / "all.audio.toml").write_text('near = "music"\n')
    assert read_roots(index_file) == {"near": tmp_path / "music"}


@pytest.mark.parametrize("text", ["x", "a = 1\n", '"a/b" = "/x"\n', 'a = ""\n', "[a]\nb = 'c'\n", 'a = "x\\u0000"\n'])
def test_a_strange_roots_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "all.audio.toml").write_text(text)
    with pytest.raises(IndexFileError, match=r"all\.audio\.toml"):
        read_roots(tmp_path / "all.npz")
