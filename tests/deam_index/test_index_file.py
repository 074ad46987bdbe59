"""The index file: what is written is read again, and no broken file is ever believed or crashes the reader."""

from __future__ import annotations

import io
import json
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_index import assert_equal, sample_index

from emomusic_edge.deam_index import index_file, stored_npz
from emomusic_edge.deam_index.index_file import MusicIndex, index_bytes, read_index, write_index
from emomusic_edge.deam_index.music_index import ARRAYS
from emomusic_edge.errors import IndexFileError


def read_bytes(content: bytes, path: Path) -> MusicIndex:
    path.write_bytes(content)
    return read_index(path)


def members_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def with_member(name: str, data: bytes) -> bytes:
    return zipped({**members_of(index_bytes(sample_index())), name: data})


def header(text: str) -> bytes:
    return npy(np.frombuffer(text.encode(), np.uint8))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write_index(tmp_path / "sub" / "a.npz", sample_index())
    assert_equal(read_index(tmp_path / "sub" / "a.npz"), sample_index())


def test_numpy_opens_it_without_pickle(tmp_path: Path) -> None:
    write_index(tmp_path / "a.npz", sample_index())
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["points"], sample_index().points)
        assert bytes(arrays["header"]).decode().startswith('{"schema_version":2,')
        assert bytes(arrays["titles"]).decode().split("\0")[:-1] == list(sample_index().titles)


def test_equal_indexes_give_equal_bytes() -> None:
    one = sample_index(provenance={"a": "1", "b": "2"})
    two = sample_index(provenance={"b": "2", "a": "1"}, points=np.asfortranarray(sample_index().points))
    assert index_bytes(one) == index_bytes(two)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    windows=st.integers(1, 40),
    texts=st.lists(
        st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12), min_size=1, unique=True
    ),
)
def test_any_index_survives_the_way_through_a_file(seed: int, windows: int, texts: list[str]) -> None:
    generator = np.random.default_rng(seed)
    start_s = generator.uniform(0, 30, windows).astype(np.float32)
    index = sample_index(
        points=generator.uniform(-1, 1, (windows, 2)).astype(np.float32),
        start_s=start_s,
        end_s=start_s + np.float32(10),
        song=generator.integers(0, len(texts), windows).astype(np.int32),
        song_ids=tuple(texts),
        titles=tuple(reversed(texts)),
        files=tuple(f"{row}.ogg" for row in range(len(texts))),
        song_end_s=np.full(len(texts), 45, np.float32),
    )
    content = index_bytes(index)
    path = Path(os.devnull)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_file, "content_of", lambda _: content)
        again = read_index(path)
    assert_equal(again, index)
    assert index_bytes(again) == content


def test_every_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    content = index_bytes(sample_index())
    refused = 0
    for place in range(len(content)):
        for flip in (0x01, 0xFF):
            broken = bytearray(content)
            broken[place] ^= flip
            try:
                index = read_bytes(bytes(broken), tmp_path / "a.npz")
            except IndexFileError:
                refused += 1
            else:
                assert_equal(index, sample_index())
    # names, arrays, header and sums; times and attributes of its members, and the padding before them, do not matter
    assert refused > 0.55 * 2 * len(content)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    content = index_bytes(sample_index())
    for length in (*range(0, len(content), 5), *range(len(content) - 100, len(content))):
        with pytest.raises(IndexFileError):
            read_bytes(content[:length], tmp_path / "a.npz")


@pytest.fixture
def always_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_npz, "MAPPED_BYTES", 0)


@pytest.mark.usefixtures("always_mapped")
def test_a_mapped_file_is_as_good(tmp_path: Path) -> None:
    write_index(tmp_path / "a.npz", sample_index())
    index = read_index(tmp_path / "a.npz")
    assert_equal(index, sample_index())
    assert index.points.flags.aligned
    assert not index.points.flags.writeable
    assert not index.points.flags.owndata
    # it may be replaced while it is mapped
    write_index(tmp_path / "a.npz", sample_index(points=-sample_index().points))
    assert_equal(index, sample_index())
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index((-sample_index().points).tobytes()) + 3] ^= 1
    with pytest.raises(IndexFileError, match="checksum does not agree"):
        read_bytes(bytes(content), tmp_path / "b.npz")
    with pytest.raises(IndexFileError):
        read_bytes(bytes(content[:-30]), tmp_path / "b.npz")
    with pytest.raises(IndexFileError, match="cannot be read"):
        read_bytes(b"", tmp_path / "b.npz")


def test_every_array_begins_at_a_multiple_of_64_bytes() -> None:
    content = index_bytes(sample_index())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            name_bytes, extra_bytes = (
                int.from_bytes(content[info.header_offset + at :][:2], "little") for at in (26, 28)
            )
            assert (info.header_offset + 30 + name_bytes + extra_bytes) % 64 == 0, info.filename


def version_1(index: MusicIndex) -> bytes:
    """The bytes that the first version of this file had."""
    texts = {name: list(getattr(index, name)) for name in ("song_ids", "titles", "files")}
    fields = {
        "schema_version": 1,
        "name": index.name,
        **texts,
        "reference_mean": list(index.reference_mean),
        "reference_sd": list(index.reference_sd),
        "provenance": dict(index.provenance),
    }
    arrays = {name: npy(getattr(index, name)) for name in ARRAYS}
    return zipped({"header.npy": header(json.dumps(fields)), **{f"{name}.npy": data for name, data in arrays.items()}})


def test_a_file_of_version_1_is_read(tmp_path: Path) -> None:
    assert_equal(read_bytes(version_1(sample_index()), tmp_path / "old.npz"), sample_index())


def test_a_version_with_members_of_another_is_refused(tmp_path: Path) -> None:
    old, new = version_1(sample_index()), index_bytes(sample_index())
    for members in (
        {**members_of(new), "header.npy": members_of(old)["header.npy"]},
        {**members_of(old), "header.npy": members_of(new)["header.npy"]},
    ):
        with pytest.raises(IndexFileError, match="members missing or unknown"):
            read_bytes(zipped(members), tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("member", "data", "message"),
    [
        ("titles.npy", npy(np.frombuffer(b"a\0b\0c", np.uint8)), "titles: 5 bytes of text for 3 texts"),
        ("song_ids_ends.npy", npy(np.array([0, 0, 5], np.int64)), "song_ids: "),
        ("song_ids_ends.npy", npy(np.array([-1, 1, 5], np.int64)), "song_ids: "),
        ("song_ids_ends.npy", npy(np.array([1, 3, 1 << 60], np.int64)), "song_ids: "),
        ("song_ids_ends.npy", npy(np.zeros(0, np.int64)), "song_ids: "),
    ],
)
def test_texts_that_do_not_fit_are_refused(tmp_path: Path, member: str, data: bytes, message: str) -> None:
    with pytest.raises(IndexFileError, match=message):
        read_bytes(with_member(member, data), tmp_path / "a.npz")


def test_texts_that_are_no_utf_8_are_refused(tmp_path: Path) -> None:
    data = members_of(index_bytes(sample_index()))["titles.npy"].replace(b"Seven", b"Se\xffen")
    with pytest.raises(IndexFileError, match="not UTF-8"):
        read_bytes(with_member("titles.npy", data), tmp_path / "a.npz")


def test_a_long_directory_is_refused_unparsed(tmp_path: Path) -> None:
    content = zipped({f"{name}.npy": b"" for name in range(2000)})
    with pytest.raises(IndexFileError, match="a dozen members"):
        read_bytes(content, tmp_path / "a.npz")


@settings(deadline=None)
@given(garbage=st.binary(max_size=300), place=st.integers(0, 5000), spliced=st.booleans())
def test_garbage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes, place: int, spliced: bool
) -> None:
    content = index_bytes(sample_index())
    place %= len(content)
    broken = content[:place] + garbage + (content[place:] if spliced else content[place + len(garbage) :])
    try:
        index = read_bytes(broken, tmp_path_factory.getbasetemp() / "garbage.npz")
    except IndexFileError:
        return
    assert_equal(index, sample_index())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndexFileError, match=r"gone\.npz cannot be read: No such file") as caught:
        read_index(tmp_path / "gone.npz")
    assert "index build" in caught.value.mend


def test_a_folder_or_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(IndexFileError, match="is not a file"):
            read_index(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.npz"
    with path.open("wb") as file:
        file.truncate(stored_npz.MAX_FILE_BYTES + 1)
    with pytest.raises(IndexFileError, match="has 1073741825 bytes"):
        read_index(path)


def test_a_bomb_is_refused_before_it_expands(tmp_path: Path) -> None:
    members = members_of(index_bytes(sample_index()))
    members["points.npy"] = npy(np.zeros((8 << 20, 2), np.float32))  # 64 MiB that deflate to 64 kB
    bomb = zipped(members, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(IndexFileError, match="is compressed"):
            read_bytes(bomb, tmp_path / "a.npz")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "shape", ["(9999, 2)", "(2 ** 9, 2)", "(-5, 2)", "(5, 2", "(" * 300, "(500000000000000000000, 2)"]
)
def test_an_array_header_that_lies_is_refused_before_allocation(tmp_path: Path, shape: str) -> None:
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    lie = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(40)
    with pytest.raises(IndexFileError, match="not a readable music index"):
        read_bytes(with_member("points.npy", lie), tmp_path / "a.npz")


class _Trap:
    """Tells, by a file, that a pickle was opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([_Trap(tmp_path / "sprung")], object), allow_pickle=True)
    for data in (buffer.getvalue(), pickle.dumps(_Trap(tmp_path / "sprung"))):
        with pytest.raises(IndexFileError):
            read_bytes(with_member("points.npy", data), tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("member", "data", "message"),
    [
        ("points.npy", npy(np.zeros((5, 2))), "points has dtype float64, float32 expected"),
        ("points.npy", npy(np.zeros((5, 2), ">f4")), "points has dtype >f4"),
        ("points.npy", npy(np.zeros((5, 3), np.float32)), r"points has shape \(5, 3\), \[n, 2\] expected"),
        ("points.npy", npy(np.zeros((2, 5), np.float32).T), r"points has shape \(5, 2\)|Fortran"),
        ("song.npy", npy(np.zeros((5, 1), np.int32)), "song has shape"),
        ("song.npy", npy(np.zeros(4, np.int32)), "song has 4 rows for 5 windows"),
        ("points.npy", npy(np.full((5, 2), np.nan, np.float32)), "points row 0 is not finite"),
        ("points.npy", b"\x93NUMPY\x01\x00" + b"\xff\xff" + b"{" * 65535, "not a readable music index"),
        ("points.npy", b"", "not a readable music index"),
        ("other.npy", npy(np.zeros(1)), "members missing or unknown: other.npy"),
        ("../points.npy", npy(np.zeros(1)), "members missing or unknown"),
        ("header.npy", header("{"), "broken header: JSON"),
        ("header.npy", header("[" * 100_000), "broken header"),
        ("header.npy", header('{"schema_version": 1}'), "broken header: name: Field required"),
        ("header.npy", npy(np.frombuffer(b"\xff\xfe", np.uint8)), "broken header"),
    ],
)
def test_a_member_of_another_kind_is_named(tmp_path: Path, member: str, data: bytes, message: str) -> None:
    with pytest.raises(IndexFileError, match=message):
        read_bytes(with_member(member, data), tmp_path / "a.npz")


def test_another_schema_version_is_told(tmp_path: Path) -> None:
    text = bytes(np.load(io.BytesIO(members_of(index_bytes(sample_index()))["header.npy"]))).decode()
    newer = text.replace('"schema_version":2', '"schema_version":3')
    with pytest.raises(IndexFileError, match="schema version 3 found, 2 expected"):
        read_bytes(with_member("header.npy", header(newer)), tmp_path / "a.npz")


def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO(index_bytes(sample_index()))
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("song.npy", npy(np.zeros(5, np.int32)))
    with pytest.raises(IndexFileError, match=r"song\.npy stands in it twice"):
        read_bytes(buffer.getvalue(), tmp_path / "a.npz")


def test_a_broken_index_is_not_written(tmp_path: Path) -> None:
    write_index(tmp_path / "a.npz", sample_index())
    before = (tmp_path / "a.npz").read_bytes()
    with pytest.raises(IndexFileError, match="files row 0"):
        write_index(tmp_path / "a.npz", sample_index(files=("../2.mp3", "b", "c")))
    assert (tmp_path / "a.npz").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexFileError, match="cannot be written"):
        write_index(tmp_path / "file" / "a.npz", sample_index())


def test_a_file_name_that_is_no_text_is_told() -> None:
    with pytest.raises(IndexFileError, match="not UTF-8"):
        index_bytes(sample_index(titles=(os.fsdecode(b"caf\xe9"), "b", "c")))
