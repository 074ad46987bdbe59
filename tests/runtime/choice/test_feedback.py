"""Likes: kept as counts, shared by processes, wiped for good, and never in the loop's way."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emomusic_edge.runtime.choice import feedback_store
from emomusic_edge.runtime.choice.feedback import Counts
from emomusic_edge.runtime.choice.feedback_memory import FeedbackMemory
from emomusic_edge.runtime.choice.feedback_store import FeedbackStore

LIKE, DISLIKE, SKIP = Counts(likes=1), Counts(dislikes=1), Counts(skips=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "likes.sqlite"


def wait_for(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while True:
        # Whoever reads meets the lock of who just writes.
        with contextlib.suppress(OSError):
            if true():
                return
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_the_posterior_is_a_uniform_prior_and_the_counts() -> None:
    assert (Counts().alpha, Counts().beta) == (1.0, 1.0)
    assert (Counts(3, 2, 4).alpha, Counts(3, 2, 4).beta) == (4.0, 5.0)
    assert not Counts().any
    assert (SKIP + SKIP + LIKE).beta == (DISLIKE + LIKE).beta


def test_counts_add_up_by_song_and_library(path: Path) -> None:
    deam, own = FeedbackStore(path, "deam"), FeedbackStore(path, "own")
    assert deam.load() == {}
    assert not path.exists()
    for counts in (LIKE, LIKE, SKIP):
        deam.add("2", counts)
    own.add("2", DISLIKE)
    assert deam.load() == {"2": Counts(2, 0, 1)}
    assert own.load() == {"2": DISLIKE}
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_taken_back_never_falls_below_nothing(path: Path) -> None:
    """A dislike after a like takes the like back, though another process has forgotten it meanwhile."""
    store = FeedbackStore(path, "library")
    store.add("2", LIKE)
    store.add("2", Counts(dislikes=1) - LIKE)
    assert store.load() == {"2": Counts(dislikes=1)}
    store.forget()
    store.add("2", Counts(dislikes=1) - LIKE)
    store.add("2", LIKE)
    assert store.load() == {"2": Counts(likes=1, dislikes=1)}


def test_no_time_stands_in_the_file(path: Path) -> None:
    FeedbackStore(path, "deam").add("2", LIKE)
    with sqlite3.connect(path) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(feedback)")]
    assert columns == ["library", "song_id", "likes", "dislikes", "skips"]


def test_forget_leaves_no_song_in_the_bytes(path: Path) -> None:
    store = FeedbackStore(path, "library-of-ours")
    for number in range(60):
        store.add(f"song-of-mine-{number}", LIKE)
    path.with_name(path.name + ".damaged").write_bytes(b"song-of-mine-7")
    assert b"song-of-mine" in path.read_bytes()
    assert store.forget() == 60
    left = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"song-of-mine" not in left
    assert b"library-of-ours" not in left
    assert store.load() == {}
    assert store.forget() == 0
    store.add("again", LIKE)
    assert store.load() == {"again": LIKE}


@pytest.mark.parametrize("spoil", ["text", "middle", "version", "empty"])
def test_a_damaged_file_is_set_aside_and_begun_anew(path: Path, spoil: str) -> None:
    store = FeedbackStore(path, "deam")
    for number in range(40):
        store.add(f"song {number} " + 300 * "x", LIKE)
    content = bytearray(path.read_bytes())
    if spoil == "text":
        content = bytearray(b"no database at all, but long enough to be one" * 40)
    elif spoil == "middle":
        content[4096:8192] = b"\xff" * 4096
    elif spoil == "version":
        content[60:64] = (99).to_bytes(4, "big")
    else:
        content = bytearray()
    path.write_bytes(content)
    assert store.load() == {}
    store.add("new", LIKE)
    assert store.load() == {"new": LIKE}
    aside = path.with_name(path.name + ".damaged")
    assert aside.exists() == (spoil != "empty")
    assert ("set aside" in store.notice) == (spoil != "empty")


def test_two_processes_lose_nothing(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from emomusic_edge.runtime.choice.feedback import Counts\n"
        "from emomusic_edge.runtime.choice.feedback_store import FeedbackStore\n"
        "store = FeedbackStore(Path(sys.argv[1]), 'deam')\n"
        "for _ in range(25): store.add('2', Counts(likes=1))\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert FeedbackStore(path, "deam").load() == {"2": Counts(likes=50)}


def test_memory_knows_at_once_and_the_file_a_little_later(path: Path) -> None:
    memory = FeedbackMemory(FeedbackStore(path, "deam"))
    before = memory.version
    memory.note("2", LIKE)
    assert memory.counts() == {"2": LIKE}
    assert memory.version > before
    memory.note("2", SKIP)
    memory.close()
    assert FeedbackStore(path, "deam").load() == {"2": Counts(1, 0, 1)}
    assert FeedbackMemory(FeedbackStore(path, "deam")).counts() == {"2": Counts(1, 0, 1)}
    assert memory.reason == ""


def test_what_another_process_forgot_is_forgotten_here_too(path: Path) -> None:
    memory = FeedbackMemory(FeedbackStore(path, "deam"))
    memory.note("2", LIKE)
    wait_for(lambda: FeedbackStore(path, "deam").load() != {})
    FeedbackStore(path, "").forget()

    def gone() -> bool:
        memory.refresh()
        return memory.counts() == {}

    wait_for(gone)
    memory.note("3", LIKE)
    memory.close()
    assert FeedbackStore(path, "deam").load() == {"3": LIKE}


def test_where_nothing_can_be_written_likes_are_kept_in_memory_with_a_reason(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    memory = FeedbackMemory(FeedbackStore(blocked / "likes.sqlite", "deam"))
    memory.note("2", LIKE)
    wait_for(lambda: memory.reason != "")
    assert "in memory only" in memory.reason
    assert memory.counts() == {"2": LIKE}
    memory.close()


def test_a_locked_file_is_waited_for(path: Path) -> None:
    FeedbackStore(path, "deam").add("2", LIKE)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    memory = FeedbackMemory(FeedbackStore(path, "deam"))
    memory.note("2", LIKE)
    assert memory.counts() == {"2": Counts(likes=2)}
    other.execute("COMMIT")
    other.close()
    wait_for(lambda: FeedbackStore(path, "deam").load() == {"2": Counts(likes=2)})
    memory.close()


def test_a_like_that_meets_a_lock_is_written_when_the_lock_has_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_store, "_LOCK_WAIT_S", 0.02)
    FeedbackStore(path, "deam").add("2", LIKE)
    other = sqlite3.connect(path, isolation_level=None)
    memory = FeedbackMemory(FeedbackStore(path, "deam"), retry_s=0.02)
    other.execute("BEGIN EXCLUSIVE")
    memory.note("2", LIKE)
    memory.note("3", SKIP)
    wait_for(lambda: "locked" in memory.reason)
    other.execute("COMMIT")
    other.close()
    wait_for(lambda: FeedbackStore(path, "deam").load() == {"2": Counts(likes=2), "3": SKIP})
    wait_for(lambda: memory.reason == "")
    assert memory.counts() == {"2": Counts(likes=2), "3": SKIP}
    memory.close()


def test_what_was_noted_and_then_forgotten_under_a_lock_stays_forgotten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_store, "_LOCK_WAIT_S", 0.02)
    FeedbackStore(path, "deam").add("2", LIKE)
    other = sqlite3.connect(path, isolation_level=None)
    memory = FeedbackMemory(FeedbackStore(path, "deam"), retry_s=0.02)
    other.execute("BEGIN EXCLUSIVE")
    memory.note("2", LIKE)
    memory.forget()
    memory.note("3", LIKE)
    wait_for(lambda: "locked" in memory.reason)
    other.execute("COMMIT")
    other.close()
    wait_for(lambda: FeedbackStore(path, "deam").load() == {"3": LIKE})
    memory.close()


def test_closing_does_not_wait_for_a_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback_store, "_LOCK_WAIT_S", 0.02)
    FeedbackStore(path, "deam").add("2", LIKE)
    other = sqlite3.connect(path, isolation_level=None)
    memory = FeedbackMemory(FeedbackStore(path, "deam"), retry_s=3600.0)
    other.execute("BEGIN EXCLUSIVE")
    memory.note("2", LIKE)
    wait_for(lambda: "locked" in memory.reason)
    memory.close()
    assert "feedback" not in [thread.name for thread in threading.enumerate()]
    other.close()
    assert FeedbackStore(path, "deam").load() == {"2": LIKE}


@pytest.mark.parametrize("spoil", ["DROP TABLE feedback", "ALTER TABLE feedback RENAME COLUMN skips TO more"])
def test_a_file_without_its_table_is_set_aside_and_begun_anew(path: Path, spoil: str) -> None:
    store = FeedbackStore(path, "deam")
    store.add("2", LIKE)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(spoil)
    memory = FeedbackMemory(store)
    assert memory.counts() == {}
    assert "set aside" in memory.reason
    memory.note("3", LIKE)
    memory.close()
    assert store.load() == {"3": LIKE}
    assert path.with_name(path.name + ".damaged").exists()


def test_without_a_file_it_forgets_too() -> None:
    memory = FeedbackMemory()
    memory.note("2", LIKE)
    memory.forget()
    assert memory.counts() == {}
    memory.close()
