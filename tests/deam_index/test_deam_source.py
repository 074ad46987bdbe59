"""DEAM is found as people have it, and an archive is never trusted."""

from __future__ import annotations

import shutil
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from emomusic_edge.deam_index import deam_source
from emomusic_edge.deam_index.annotations import read_annotations
from emomusic_edge.deam_index.build import build_index
from emomusic_edge.deam_index.deam_source import find_deam
from emomusic_edge.deam_index.index_file import index_bytes
from emomusic_edge.errors import IndexFileError
from emomusic_edge.paths import packaged_deam_index

AVERAGED = "annotations/annotations averaged per song"
DYNAMIC = f"{AVERAGED}/dynamic (per second annotations)"
SONG_LEVEL = f"{AVERAGED}/song_level"
WIDE = "song_id,sample_15000ms,sample_15500ms\n2,0.1,0.2\n"
STATIC = "song_id, valence_mean, valence_std, arousal_mean, arousal_std\n2,3.1,0.94,3,0.63\n"
TABLES = {
    f"{DYNAMIC}/valence.csv": WIDE,
    f"{DYNAMIC}/arousal.csv": WIDE,
    f"{SONG_LEVEL}/static_annotations_averaged_songs_1_2000.csv": STATIC,
    "annotations/annotations per each rater/dynamic (per second annotations)/valence/2.csv": "WorkerId\n",
    "metadata/metadata_2013.csv": "song_id,file_name,Artist,Song title\n2,2.mp3,\tA\t,\tB\t\n",
    "__MACOSX/annotations/._valence.csv": "\0",
    "__MACOSX/other/valence.csv": "\0",
}


@pytest.fixture
def download(tmp_path: Path) -> Path:
    folder = tmp_path / "DEAM"
    for name, text in TABLES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def archive_of(path: Path, members: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("level", ["", "annotations", AVERAGED, DYNAMIC])
def test_any_folder_of_it_will_do(download: Path, level: str) -> None:
    files = find_deam(download / level)
    assert files.valence is not None
    assert files.arousal is not None
    assert files.valence.shown == str(download / DYNAMIC / "valence.csv")
    assert len(files.song_level) == (0 if level == DYNAMIC else 1)
    assert len(files.metadata) == (1 if level == "" else 0)


def test_the_archive_itself_will_do(tmp_path: Path) -> None:
    files = find_deam(archive_of(tmp_path / "DEAM_Annotations.zip", dict(TABLES)))
    assert files.valence is not None
    assert files.valence.content == WIDE.encode()
    assert files.valence.shown == f"{tmp_path}/DEAM_Annotations.zip:{DYNAMIC}/valence.csv"
    assert (len(files.song_level), len(files.metadata)) == (1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["DEAM_Annotations.zip"]


def test_a_folder_of_archives_will_do(tmp_path: Path) -> None:
    annotations = {name: text for name, text in TABLES.items() if name.startswith("annotations")}
    archive_of(tmp_path / "DEAM_Annotations.zip", dict(annotations))
    archive_of(tmp_path / "metadata.zip", {name: text for name, text in TABLES.items() if name.startswith("metadata")})
    archive_of(tmp_path / "features.zip", {"features/2.csv": "a;b"})
    found = read_annotations(tmp_path)
    assert found.titles == {2: "A – B"}
    assert found.song_level.keys() == {2}


def test_another_pair_beside_the_averaged_one_does_not_confuse(download: Path) -> None:
    for name in ("valence.csv", "arousal.csv"):
        (download / name).write_text(WIDE)
    files = find_deam(download)
    assert files.valence is not None
    assert "averaged per song" in files.valence.shown
    shutil.copytree(download / DYNAMIC, download / "copy")
    shutil.rmtree(download / "annotations")
    assert find_deam(download).valence is not None
    (download / "copy" / "arousal.csv").write_text(WIDE + "3,0.1,0.2\n")
    with pytest.raises(IndexFileError, match="several pairs"):
        find_deam(download)


def test_an_archive_and_what_it_unpacked_to_are_one(download: Path) -> None:
    archive_of(download / "DEAM_Annotations.zip", dict(TABLES))
    files = find_deam(download)
    assert files.valence is not None
    assert files.valence.shown == str(download / DYNAMIC / "valence.csv")
    assert (len(files.song_level), len(files.metadata), files.notes) == (1, 1, ())
    assert read_annotations(download).song_level.keys() == {2}
    (download / DYNAMIC / "valence.csv").write_text(WIDE.replace("0.2", "0.3"))
    with pytest.raises(IndexFileError, match=r"several pairs of .* that differ"):
        find_deam(download)


def test_an_archive_that_is_no_use_is_a_note_where_the_tables_are(download: Path) -> None:
    archive_of(download / "other.zip", {"..\\x": "y"})
    (download / "DEAM_audio.zip").write_bytes(b"PK half of it")
    found = read_annotations(download)
    assert len(found.songs) == 1
    assert [note.split(" ", 3)[2] for note in found.notes] == ["DEAM_audio.zip", "other.zip"]
    assert not any(str(download) in note or ";" in note for note in found.notes)
    shutil.rmtree(download / "annotations")
    with pytest.raises(IndexFileError, match=r"DEAM_audio\.zip is not a readable"):
        find_deam(download)


def test_a_damaged_copy_of_the_tables_is_a_note(download: Path) -> None:
    archive = archive_of(download / "a.zip", dict(TABLES), zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"2,0.1,0.2", b"2,0.1,0.7"))
    files = find_deam(download)
    assert files.valence is not None
    assert files.valence.content == WIDE.encode()
    assert len(files.notes) == 1
    assert "cannot be unpacked" in files.notes[0]


def test_half_a_pair_is_named(download: Path) -> None:
    (download / DYNAMIC / "arousal.csv").unlink()
    with pytest.raises(IndexFileError, match=r"valence\.csv stands alone; arousal\.csv was expected"):
        find_deam(download)


def test_song_level_alone_is_enough(download: Path) -> None:
    assert find_deam(download / SONG_LEVEL).valence is None


def test_nothing_and_no_place_are_told(tmp_path: Path) -> None:
    with pytest.raises(IndexFileError, match="holds neither"):
        find_deam(tmp_path)
    with pytest.raises(IndexFileError, match="neither a folder nor"):
        find_deam(tmp_path / "gone")
    (tmp_path / "a.zip").write_bytes(b"PK no zip")
    with pytest.raises(IndexFileError, match="not a readable"):
        find_deam(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["../valence.csv", "a/../../valence.csv", "/valence.csv", "a\\..\\valence.csv"])
def test_a_member_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    archive = archive_of(tmp_path / "a.zip", {**TABLES, name: WIDE})
    with pytest.raises(IndexFileError, match="leads out of it"):
        find_deam(archive)


def test_a_bomb_is_refused_before_it_has_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deam_source, "MAX_FILE_BYTES", 1 << 20)
    bomb = archive_of(tmp_path / "a.zip", {**TABLES, f"{DYNAMIC}/valence.csv": bytes(64 << 20)})
    assert bomb.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(IndexFileError, match="expands to more than 1 MB"):
            find_deam(bomb)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_damaged_member_is_told(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", dict(TABLES), zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    content[content.index(b"0.1,0.2")] ^= 1
    archive.write_bytes(content)
    with pytest.raises(IndexFileError, match="cannot be unpacked"):
        find_deam(archive)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deam_source, "_MAX_MEMBERS", 5)
    with pytest.raises(IndexFileError, match="has 7 members; 5 are allowed"):
        find_deam(archive_of(tmp_path / "a.zip", dict(TABLES)))


def test_deam_zipped_gives_what_ships(deam_dir: Path, tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {}
    for name in ("valence.csv", "arousal.csv"):
        members[f"{DYNAMIC}/{name}"] = (deam_dir / name).read_bytes()
    for path in deam_dir.glob("static_*.csv"):
        members[f"{SONG_LEVEL}/{path.name}"] = path.read_bytes()
    archive = archive_of(tmp_path / "DEAM_Annotations.zip", members)
    assert index_bytes(build_index(read_annotations(archive))) == packaged_deam_index().read_bytes()
