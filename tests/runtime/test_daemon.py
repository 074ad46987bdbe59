"""Where no thread can be made, nothing ends with it, and the next time one is."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from emomusic_edge.runtime.choice.feedback import Counts
from emomusic_edge.runtime.choice.feedback_memory import FeedbackMemory
from emomusic_edge.runtime.choice.feedback_store import FeedbackStore
from emomusic_edge.runtime.daemon import lives, started


def no_more(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_thread_that_cannot_be_made_is_none() -> None:
    done = threading.Event()
    thread = started(done.set, "work")
    assert thread is not None
    assert done.wait(20.0)
    thread.join(20.0)
    assert not lives(thread)
    assert not lives(None)


def test_a_like_while_memory_is_short_is_written_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = FeedbackMemory(FeedbackStore(tmp_path / "likes.sqlite", "index"))
    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", no_more)
        memory.note("a", Counts(likes=1))
    assert memory.counts()["a"] == Counts(likes=1)
    memory.note("b", Counts(likes=1))
    memory.close()
    again = FeedbackMemory(FeedbackStore(tmp_path / "likes.sqlite", "index"))
    assert set(again.counts()) == {"a", "b"}
    again.close()


def test_closing_without_a_thread_that_was_never_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = FeedbackMemory(FeedbackStore(tmp_path / "likes.sqlite", "index"))
    monkeypatch.setattr(threading.Thread, "start", no_more)
    memory.note("a", Counts(likes=1))
    memory.close()
