"""The history that `privacy.history_h` asks for: a small SQLite file with a row a minute, hours of it at most.

Nothing of a single moment is in it, and no picture. What is older than asked for is overwritten at the start and with
each minute; where nothing is asked for, a file of before is removed at the start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from emomusic_edge.contracts import StateSnapshot
from emomusic_edge.disk_trouble import disk_trouble
from emomusic_edge.runtime.daemon import lives, started
from emomusic_edge.runtime.sqlite_file import read_through

from .minute import MINUTE_S, Minute, MinuteMeans

_log = logging.getLogger(__name__)

_LOCK_WAIT_S = 5.0
_JOIN_S = 1.0
_HOUR_S = 3600.0
_TABLE = """
CREATE TABLE IF NOT EXISTS minutes (
    start_s INTEGER PRIMARY KEY,
    valence REAL NOT NULL,
    arousal REAL NOT NULL,
    frames INTEGER NOT NULL,
    faces INTEGER NOT NULL
)
"""
_ADD = "INSERT OR REPLACE INTO minutes (start_s, valence, arousal, frames, faces) VALUES (?, ?, ?, ?, ?)"


class HistoryFile:
    """The file. Every call opens it, does one thing and closes it again; one that is damaged is removed.

    Raises:
        OSError: (all calls) the file cannot be read, written or removed; sqlite3's errors are told as OSError.
    """

    def __init__(self, path: Path, *, kept_s: float) -> None:
        """Bind the path.

        Args:
            path: of the file.
            kept_s: how old a minute may become.
        """
        self._path = path
        self._kept_s = kept_s

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return self._path.exists()

    def add(self, minute: Minute, now_s: float) -> None:
        """Add a minute, and drop those too old by `now_s`, seconds of the epoch."""
        row = (minute.start_s, minute.valence, minute.arousal, minute.frames, minute.faces)
        self._write_sound(row, now_s)

    def drop_old(self, now_s: float) -> None:
        """Drop the minutes too old by `now_s`, seconds of the epoch, and those that the clock says are yet to come."""
        if self.exists:
            self._write_sound(None, now_s)

    def remove(self) -> bool:
        """Overwrite all minutes and remove the file; whether there was one."""
        existed = self.exists
        if existed:
            # A damaged file is removed as it is.
            with contextlib.suppress(OSError, sqlite3.Error), contextlib.closing(self._connect()) as database:
                database.execute("DELETE FROM minutes")
        for path in (self._path, self._path.with_name(self._path.name + "-journal")):
            if path.exists():
                path.unlink(missing_ok=True)
        return existed

    def _write_sound(self, row: tuple[int, float, float, int, int] | None, now_s: float) -> None:
        """Write; a file that is found damaged twice is removed, and one row begins a new one."""
        for attempt in (1, 2, 3):
            try:
                self._write(row, now_s)
            except sqlite3.DatabaseError as cause:
                read_through(self._path)
                if attempt == 3:
                    raise OSError(disk_trouble(self._path, cause)) from cause
                if attempt == 2:
                    # Minutes of a day are not worth a damaged file beside the new one, which nobody would forget.
                    _log.warning("%s cannot be used (%s): it is removed", self._path, cause)
                    self.remove()
                    if row is None:
                        return
            else:
                return

    def _write(self, row: tuple[int, float, float, int, int] | None, now_s: float) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Before sqlite makes it, which would leave it to the umask who may read it.
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        try:
            with contextlib.closing(self._connect()) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute(_TABLE)
                if row is not None:
                    database.execute(_ADD, row)
                database.execute(
                    "DELETE FROM minutes WHERE start_s < ? OR start_s > ?", (now_s - self._kept_s, now_s + MINUTE_S)
                )
                database.execute("COMMIT")
        except sqlite3.OperationalError as cause:
            raise OSError(disk_trouble(self._path, cause)) from cause

    def _connect(self) -> sqlite3.Connection:
        address = f"{self._path.absolute().as_uri()}?mode=rw"
        database = sqlite3.connect(address, uri=True, timeout=_LOCK_WAIT_S, isolation_level=None)
        try:
            database.execute("PRAGMA secure_delete = ON").close()
        except BaseException:
            database.close()
            raise
        return database


class History:
    """Keeps the history in a thread of its own; without hours to keep, it keeps nothing and removes what there was.

    What cannot be written is logged once and lost: no reason to stop.
    """

    def __init__(self, path: Path, *, kept_h: float, wall_clock: Callable[[], float] = time.time) -> None:
        """Bring the file to what is asked for.

        Args:
            path: the file.
            kept_h: how many hours are kept; 0 keeps nothing.
            wall_clock: seconds of the epoch.
        """
        self._path = path
        self._file = HistoryFile(path, kept_s=kept_h * _HOUR_S)
        self._wall_clock = wall_clock
        self._means = MinuteMeans()
        self._keeps = kept_h > 0
        self._complained = ""
        # Whether the file stood when this process wrote last: one that is gone since then was wiped by somebody.
        self._stood = False
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        if self._keeps:
            self._guarded(lambda: self._file.drop_old(wall_clock()))
        else:
            self._guarded(self._remove)

    def observe(self, snapshot: StateSnapshot) -> None:
        """Take in what was told; waits for no disk."""
        if not self._keeps:
            return
        now_s = self._wall_clock()
        ended = self._means.add(snapshot, now_s)
        if ended is not None:
            self._later(lambda: self._add(ended, now_s))

    def forget(self) -> None:
        """Wipe it, with the minute that is running."""
        self._means.forget()
        if self._keeps:
            self._later(self._remove)

    def close(self) -> None:
        """Write what is still to be written, for a second at most; the minute that is running is not kept."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(_JOIN_S)

    def _later(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)
        if not lives(self._thread):
            self._thread = started(self._work, "history")

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._guarded(job)

    def _add(self, minute: Minute, now_s: float) -> None:
        if self._stood and not self._file.exists:
            self._stood = False
            return
        self._file.add(minute, now_s)
        self._stood = True

    def _remove(self) -> None:
        self._file.remove()
        self._stood = False

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except (OSError, sqlite3.Error) as error:
            worded = isinstance(error, OSError) and error.errno is None
            reason = f"the history is not kept: {error if worded else disk_trouble(self._path, error)}"
            if reason != self._complained:
                _log.warning("%s", reason)
            self._complained = reason
        else:
            self._complained = ""
