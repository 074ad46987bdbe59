"""What a bad disk showed to be wrong, one by one and without strace: litter, half a write, a bad read, an outage."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from broker import wait_until
from rich.console import Console
from snapshots import snapshot

from emomusic_edge.artefacts import append_whole, remove_parts, write_atomic
from emomusic_edge.deam_index.loudness import Loudness
from emomusic_edge.deam_index.loudness_file import LoudnessWriter, Measured, read_lines
from emomusic_edge.disk_trouble import disk_trouble
from emomusic_edge.errors import IndexFileError
from emomusic_edge.runtime.choice import feedback_store
from emomusic_edge.runtime.choice.feedback import Counts
from emomusic_edge.runtime.choice.feedback_memory import FeedbackMemory
from emomusic_edge.runtime.choice.feedback_store import FeedbackStore
from emomusic_edge.runtime.kept_trying import KeptTrying
from emomusic_edge.runtime.privacy.history import HistoryFile
from emomusic_edge.runtime.privacy.minute import Minute
from emomusic_edge.runtime.record import RecordWriter, read_record
from emomusic_edge.runtime.view.live_view import show

LIKE = Counts(likes=1)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Let no file of this process grow beyond a size in bytes; a write across it is cut short, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_a_killed_writer_left_is_removed_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    others = {".state.json.original", ".other.abcd_123.part"}
    for name in (".state.json.abcd_123.part", ".state.json.living12.part", *others):
        (tmp_path / name).write_text("half")
    with (tmp_path / ".state.json.living12.part").open() as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        write_atomic(path, "whole")
        left = {one.name for one in tmp_path.iterdir()}
    assert left == {"state.json", ".state.json.living12.part", *others}
    remove_parts(path)
    assert not (tmp_path / ".state.json.living12.part").exists()


def test_two_writers_do_not_take_each_others_part_for_abandoned(tmp_path: Path) -> None:
    path, faults = tmp_path / "state.json", []

    def write(word: str) -> None:
        try:
            for _ in range(60):
                write_atomic(path, word)
        except OSError as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(word * 1000,)) for word in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
    assert len(set(path.read_text())) == 1


def test_what_is_appended_is_there_whole_or_not_at_all(tmp_path: Path, small_files: Callable[[int], None]) -> None:
    with (tmp_path / "lines").open("ab", buffering=0) as file:
        append_whole(file, b"first\n")
        small_files(10)
        with pytest.raises(OSError, match="too large"):
            append_whole(file, b"second\n")
    assert (tmp_path / "lines").read_bytes() == b"first\n"


def test_a_record_goes_on_when_there_is_room_again(tmp_path: Path, small_files: Callable[[int], None]) -> None:
    path = tmp_path / "run.csv"
    with RecordWriter(path) as record:
        record.write(replace(snapshot(), t_s=0.0))
        small_files(path.stat().st_size + 20)
        for t_s in (1.0, 2.0, 3.0):
            record.write(replace(snapshot(), t_s=t_s))
        assert str(path) in record.reason
        small_files(1 << 20)
        # Not tried again with each frame.
        record.write(replace(snapshot(), t_s=3.5))
        assert record.reason
        record.write(replace(snapshot(), t_s=8.0))
        assert record.reason == ""
    assert read_record(path)["t_s"].tolist() == [0.0, 8.0]


def test_measuring_on_a_full_disk_ends_with_words_and_keeps_the_lines_before(
    tmp_path: Path, small_files: Callable[[int], None]
) -> None:
    path = tmp_path / "songs.loudness.jsonl"
    with LoudnessWriter(path) as writer:
        writer.add(Measured("a.ogg", 1, 1, Loudness(-14.0, -1.0)))
        small_files(path.stat().st_size + 20)
        with pytest.raises(IndexFileError, match=r"songs.loudness.jsonl cannot be written") as told:
            writer.add(Measured("b.ogg", 1, 1, Loudness(-14.0, -1.0)))
    assert "the same command goes on from there" in told.value.mend
    assert [line.file for line in read_lines(path)] == ["a.ogg"]


def test_likes_are_read_although_their_writer_was_killed_half_way(tmp_path: Path) -> None:
    path = tmp_path / "likes.sqlite"
    FeedbackStore(path, "deam").add("2", LIKE)
    code = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA cache_size = 1')\n"
        "database.execute('BEGIN IMMEDIATE')\n"
        "for n in range(2000):\n"
        "    database.execute('INSERT INTO feedback VALUES (?, ?, 1, 0, 0)', ('deam', 'x' * 50 + str(n)))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert path.with_name("likes.sqlite-journal").exists()
    assert FeedbackStore(path, "deam").load() == {"2": LIKE}


def test_one_bad_read_costs_no_likes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "likes.sqlite"
    store = FeedbackStore(path, "deam")
    store.add("2", LIKE)
    check, seen = feedback_store._check, []

    def bad_once(database: sqlite3.Connection) -> None:
        seen.append(1)
        if len(seen) == 1:
            raise sqlite3.DatabaseError("btreeInitPage() returns error code 266")
        check(database)

    monkeypatch.setattr(feedback_store, "_check", bad_once)
    assert store.load() == {"2": LIKE}
    assert store.notice == ""


def test_a_disk_that_cannot_be_read_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(database: sqlite3.Connection) -> None:
        raise sqlite3.DatabaseError("btreeInitPage() returns error code 266")

    def unreadable(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    likes, history = tmp_path / "likes.sqlite", tmp_path / "history.sqlite"
    FeedbackStore(likes, "deam").add("2", LIKE)
    kept = HistoryFile(history, kept_s=3600.0)
    kept.add(Minute(60, 0.0, 3.0, 10, 5), 60.0)
    monkeypatch.setattr(feedback_store, "_check", bad)
    monkeypatch.setattr(kept, "_write", lambda *_: bad(sqlite3.connect(":memory:")))
    monkeypatch.setattr(os, "pread", unreadable)
    with pytest.raises(OSError, match=r"likes.sqlite: Input/output error \(the disk of .* fails"):
        FeedbackStore(likes, "deam").load()
    with pytest.raises(OSError, match="Input/output error"):
        kept.add(Minute(120, 0.0, 3.0, 10, 5), 120.0)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["history.sqlite", "likes.sqlite"]


def test_likes_that_could_not_be_read_at_the_start_are_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeedbackStore(tmp_path / "likes.sqlite", "deam")
    store.add("2", LIKE)
    with monkeypatch.context() as broken:
        broken.setattr(store, "load", full)
        memory = FeedbackMemory(store, retry_s=0.05)
        assert memory.counts() == {}
        assert memory.reason
    wait_until(lambda: memory.counts() == {"2": LIKE}, "the likes to be read")
    wait_until(lambda: memory.reason == "", "the reason to go")
    memory.close()


def test_what_could_not_be_written_is_written_later_and_the_newest_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, wanted, is_full = tmp_path / "state", ["one"], [True]

    def write() -> None:
        if is_full[0]:
            full()
        path.write_text(wanted[0])

    kept = KeptTrying(path, write, costs="it is forgotten", retry_s=0.02)
    kept.write()
    wanted[0] = "two"
    kept.write()
    assert kept.reason == f"{path}: No space left on device (free some space in {tmp_path}): it is forgotten"
    is_full[0] = False
    wait_until(lambda: kept.reason == "", "it to be written")
    assert path.read_text() == "two"
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"{path}: No space left on device (free some space in {tmp_path}): it is forgotten"
    ]


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (OSError(errno.EROFS, "Read-only file system"), r"Read-only file system \(make .* writable again"),
        (OSError(errno.EIO, "Input/output error"), r"\(the disk of .* fails, see `dmesg`"),
        (sqlite3.OperationalError("database or disk is full"), r"is full \(free some space in"),
        (sqlite3.OperationalError("disk I/O error"), r"\(the disk of .* fails"),
        (sqlite3.OperationalError("database is locked"), r"database is locked$"),
    ],
)
def test_the_words_name_the_file_and_what_mends_it(cause: Exception, words: str, tmp_path: Path) -> None:
    told = disk_trouble(tmp_path / "likes.sqlite", cause)
    assert told.startswith(f"{tmp_path}/likes.sqlite: ")
    assert re.search(words, told)


def test_an_output_that_goes_to_a_full_disk_is_lost_and_ends_nothing() -> None:
    with Path("/dev/full").open("w") as device:
        show(Console(file=device), "a line")
        # What Python kept of it must not fail at the end either.
        device.write("")
        os.dup2(os.open(os.devnull, os.O_WRONLY), device.fileno())
