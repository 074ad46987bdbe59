"""Likes as the running service knows them: in memory at once, on the disk a little later, on a thread of its own.

A write that reaches the disk takes milliseconds on an SSD and tens of them on a card, so the loop never waits for one.
One that fails (the file is locked, the disk full) is tried again until it is done, and those after it wait.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from functools import partial

from emomusic_edge.runtime.daemon import lives, started
from emomusic_edge.runtime.kept_trying import RETRY_S

from .feedback import Counts
from .feedback_store import FeedbackStore

_log = logging.getLogger(__name__)
_JOIN_S = 1.0


class FeedbackMemory:
    """Counts by song id; `version` rises whenever they change."""

    def __init__(self, store: FeedbackStore | None = None, *, retry_s: float = RETRY_S) -> None:
        """Load what is known.

        Args:
            store: None keeps everything in memory; so does one that cannot be read or written, until it can.
            retry_s: how long to wait before what could not be written is tried again.
        """
        self._store = store
        self._lock = threading.Lock()
        self._counts: dict[str, Counts] = {}
        self._version = 0
        self._known = None if store is None else store.signature()
        self._read = store is None
        self._failed = ""
        self._jobs: queue.SimpleQueue[tuple[str, Counts] | str] = queue.SimpleQueue()
        self._retry_s = retry_s
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if store is not None and not self._guarded(self._load):
            self._work_apart()

    @property
    def version(self) -> int:
        """Rises whenever the counts change."""
        return self._version

    @property
    def reason(self) -> str:
        """Why likes are not kept, or that the file was begun anew; empty when all is well."""
        return self._failed or ("" if self._store is None else self._store.notice)

    def counts(self) -> Mapping[str, Counts]:
        """What is known now."""
        with self._lock:
            return dict(self._counts)

    def note(self, song_id: str, counts: Counts) -> None:
        """Add to a song's counts; a count below 0 takes back, down to 0."""
        with self._lock:
            self._counts[song_id] = self._counts.get(song_id, Counts()) + counts
            self._version += 1
        self._later((song_id, counts))

    def forget(self) -> None:
        """Wipe everything, here and in the file."""
        with self._lock:
            self._counts = {}
            self._version += 1
        self._later("forget")

    def refresh(self) -> None:
        """Have the file read again if somebody else changed it: costs one stat, and the counts come later."""
        if self._store is not None and self._store.signature() != self._known and self._jobs.empty():
            self._later("load")

    def close(self) -> None:
        """Write what is still to be written, for a second at most."""
        if self._thread is not None:
            self._closing.set()
            self._jobs.put("close")
            self._thread.join(_JOIN_S)
            if self._thread.is_alive():
                _log.warning("the last likes could not be written within %g s", _JOIN_S)

    def _later(self, job: tuple[str, Counts] | str) -> None:
        if self._store is None:
            return
        self._jobs.put(job)
        self._work_apart()

    def _work_apart(self) -> None:
        if not lives(self._thread):
            self._thread = started(self._work, "feedback")

    def _work(self) -> None:
        while (job := self._next()) != "close":
            while not self._guarded(partial(self._do, job)) and job != "load":
                if self._closing.is_set():
                    _log.warning("the last likes could not be written")
                    return
                self._closing.wait(self._retry_s)

    def _next(self) -> tuple[str, Counts] | str:
        """The next job; to read the file when nothing else comes and it could not be read before."""
        try:
            return self._jobs.get(timeout=None if self._read else self._retry_s)
        except queue.Empty:
            return "load"

    def _do(self, job: tuple[str, Counts] | str) -> None:
        assert self._store is not None
        if job == "load":
            self._load()
        elif job == "forget":
            self._store.forget()
        elif isinstance(job, tuple):
            self._store.add(*job)

    def _load(self) -> None:
        assert self._store is not None
        known = self._store.signature()
        self._read = False
        counts = self._store.load()
        self._read = True
        with self._lock:
            # what is still to be written is not in the file yet: it is read again after that
            if self._jobs.empty():
                self._counts, self._known = counts, known
                self._version += 1

    def _guarded(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except OSError as error:
            reason = f"likes are kept in memory only: {error}"
            if reason != self._failed:
                _log.warning("%s", reason)
            self._failed = reason
            return False
        if self._failed:
            _log.info("likes are kept again")
        self._failed = ""
        return True
