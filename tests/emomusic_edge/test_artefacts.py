from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emomusic_edge import artefacts
from emomusic_edge.artefacts import (
    folder_written_whole,
    read_verified,
    restore_interrupted,
    sha256_of,
    write_atomic,
)
from emomusic_edge.errors import ModelError


def test_sha256_is_that_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3_000_000))
    told = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True).stdout.split()[0]
    assert sha256_of(path) == told
    assert read_verified(path, told, ModelError) == path.read_bytes()


def test_another_file_is_refused_with_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with pytest.raises(ModelError, match=r"file is not .* sha256 ed7002b439e9.* 0000"):
        read_verified(tmp_path / "file", "0" * 64, ModelError)
    with pytest.raises(ModelError, match="cannot be read"):
        read_verified(tmp_path / "none", "0" * 64, ModelError)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    write_atomic(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_links_and_devices_are_written_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_atomic(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True) as reader:
        write_atomic(tmp_path / "pipe", "told")
        assert reader.communicate(timeout=30)[0] == "told"
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with folder_written_whole(target) as scratch:
        (scratch / "a").write_text("1")

    def fail_half_way() -> None:
        with folder_written_whole(target) as scratch:
            (scratch / "a").write_text("2")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert (target / "a").read_text() == "1"
    with folder_written_whole(target) as scratch:
        (scratch / "b").write_text("3")
    assert [file.name for file in target.iterdir()] == ["b"]
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


@pytest.fixture
def without_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that cannot exchange two folders in one step."""
    monkeypatch.setattr(artefacts, "_exchange_in_one_step", lambda one, other: errno.EINVAL)


def write(target: Path, text: str) -> None:
    with folder_written_whole(target) as scratch:
        (scratch / "a").write_text(text)


def dead() -> int:
    """The id of a process that there is not."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.usefixtures("without_exchange")
def test_without_an_exchange_a_folder_is_replaced_all_the_same(tmp_path: Path) -> None:
    for text in "123":
        write(tmp_path / "bundle", text)
        assert (tmp_path / "bundle" / "a").read_text() == text
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("process", [0, os.getpid()], ids=["of a dead process", "of one whose id came back"])
def test_what_was_moved_away_is_brought_back(tmp_path: Path, process: int) -> None:
    target = tmp_path / "bundle"
    scratch = f".bundle.{process or dead()}-abcd_123"
    for name, text in ((f".bundle.{dead()}-zzzzzzzz.old", "older"), (scratch + ".old", "old"), (scratch, "new")):
        write(tmp_path / name, text)
    os.utime(next(tmp_path.glob("*zzzzzzzz.old")), (1, 1))
    restore_interrupted(target)
    assert (target / "a").read_text() == "old"
    assert (tmp_path / scratch).exists()
    restore_interrupted(target)
    write(target, "newest")
    assert (target / "a").read_text() == "newest"
    assert [path.name for path in tmp_path.iterdir() if path != target] == ([scratch] if process else [])


def test_the_next_write_brings_back_what_was_moved_away_even_if_it_fails(tmp_path: Path) -> None:
    write(tmp_path / f".bundle.{dead()}-abcd_123.old", "old")

    def fail() -> None:
        with folder_written_whole(tmp_path / "bundle"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "bundle" / "a").read_text() == "old"


def test_what_cannot_be_brought_back_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = f".bundle.{dead()}-abcd_123"
    write(tmp_path / scratch, "new")
    write(tmp_path / (scratch + ".old"), "old")
    monkeypatch.setattr(artefacts, "restore_interrupted", lambda target: None)

    def fail() -> None:
        with folder_written_whole(tmp_path / "bundle"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert sorted(path.name for path in tmp_path.iterdir()) == [scratch, scratch + ".old"]


@pytest.mark.usefixtures("without_exchange")
def test_a_reader_that_brings_it_back_too_early_does_not_end_the_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bundle"
    write(target, "1")
    rename, moves = Path.rename, []

    def watched(path: Path, to: Path) -> Path:
        moves.append(path.name)
        moved = rename(path, to)
        if path == target and moves.count("bundle") == 1:
            restore_interrupted(target)
        return moved

    monkeypatch.setattr(Path, "rename", watched)
    write(target, "2")
    assert (target / "a").read_text() == "2"
    assert moves.count("bundle") == 2
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.usefixtures("without_exchange")
def test_a_second_rename_that_fails_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "bundle"
    write(target, "1")
    rename = Path.rename

    def full(path: Path, to: Path) -> Path:
        if to == target and not path.name.endswith(".old"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space"):
        write(target, "2")
    assert (target / "a").read_text() == "1"
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


def test_what_belongs_to_others_is_left_alone(tmp_path: Path) -> None:
    gone = dead()
    others = [f".bundle.{os.getpid()}-abcdefgh", f".bundle.{gone}-b.{os.getpid()}-abcdefgh", ".bundle.new-version"]
    for name in [*others, f".bundle.{gone}-abcdefgh"]:
        (tmp_path / name).mkdir()
    write(tmp_path / "bundle", "1")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "bundle"])


WRITER = """
import sys
from pathlib import Path
from emomusic_edge.artefacts import folder_written_whole
target = Path(sys.argv[1])
generation = 0
while True:
    generation += 1
    with folder_written_whole(target) as scratch:
        for name in "abcd":
            (scratch / name).write_text(str(generation))
    print(generation, flush=True)
"""


@pytest.mark.parametrize("kill_after", range(1, 13))
def test_killed_at_any_moment_a_reader_finds_one_whole_generation(tmp_path: Path, kill_after: int) -> None:
    target = tmp_path / "bundle"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout:
        for _ in range(kill_after):
            assert writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    found = {path.name: path.read_text() for path in target.iterdir()}
    assert sorted(found) == list("abcd")
    assert len(set(found.values())) == 1
