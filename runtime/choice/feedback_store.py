"""The file of likes and dislikes: a small SQLite database with a row a song, counts only, no times, no order.

A change is added to the counts, in one statement, so that two processes with one file lose nothing, and none of them
brings back what the other forgot.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from emomusic_edge.disk_trouble import disk_trouble
from emomusic_edge.runtime.sqlite_file import read_through

from .feedback import Counts

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

SCHEMA_VERSION = 1
_LOCK_WAIT_S = 5.0
_DAMAGED = ".damaged"

_TABLE = """
CREATE TABLE IF NOT EXISTS feedback (
    library TEXT NOT NULL,
    song_id TEXT NOT NULL,
    likes INTEGER NOT NULL DEFAULT 0,
    dislikes INTEGER NOT NULL DEFAULT 0,
    skips INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (library, song_id)
) WITHOUT ROWID
"""
_COLUMNS = ["library", "song_id", "likes", "dislikes", "skips"]
_ADD = """
INSERT INTO feedback (library, song_id, likes, dislikes, skips)
    VALUES (:library, :song_id, max(:likes, 0), max(:dislikes, 0), max(:skips, 0))
ON CONFLICT (library, song_id) DO UPDATE SET
    likes = max(likes + :likes, 0), dislikes = max(dislikes + :dislikes, 0), skips = max(skips + :skips, 0)
"""


class FeedbackStore:
    """The file, for one library of songs. Every call opens it, does one thing and closes it again.

    A file that is damaged, or of another version, is set aside beside itself and begun anew; `notice` then says so.

    Raises:
        OSError: (all calls) the file cannot be read or written, or stays locked; sqlite3's errors of that kind are
            told as OSError.
    """

    def __init__(self, path: Path, library: str) -> None:
        self._path = path
        self._journal = path.with_name(path.name + "-journal")
        self._library = library
        self.notice = ""

    def load(self) -> dict[str, Counts]:
        """The counts by song id; nothing when there is no file, and none is made."""

        def read(database: sqlite3.Connection) -> dict[str, Counts]:
            if _version(database) == 0:
                return {}
            rows = database.execute(
                "SELECT song_id, likes, dislikes, skips FROM feedback WHERE library = ?", (self._library,)
            )
            return {str(song_id): Counts(*(max(0, int(count)) for count in counts)) for song_id, *counts in rows}

        return self._run(read, write=False) or {}

    def add(self, song_id: str, counts: Counts) -> None:
        """Add to a song's counts; a count below 0 takes back, down to 0."""
        row = {"library": self._library, "song_id": song_id} | asdict(counts)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._run(lambda database: database.execute(_ADD, row).close(), write=True)

    def forget(self) -> int:
        """Wipe all songs of all libraries, so that no song's name is left in the file's bytes or beside it.

        Returns:
            How many songs something was known of.
        """

        def wipe(database: sqlite3.Connection) -> int:
            known = int(database.execute("SELECT count(*) FROM feedback").fetchone()[0])
            database.execute("DELETE FROM feedback")
            # secure_delete has overwritten the rows with zeros; this gives the pages back as well
            database.execute("VACUUM")
            return known

        known = self._run(wipe, write=True) if self._path.exists() else 0
        self._path.with_name(self._path.name + _DAMAGED).unlink(missing_ok=True)
        return known or 0

    def signature(self) -> tuple[int, int, int] | None:
        """What changes whenever the file does; None where there is none."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _run(self, act: Callable[[sqlite3.Connection], _T], *, write: bool) -> _T | None:
        """Do one thing with the file; one that is found damaged twice is set aside, and it is done with a new one."""
        for attempt in (1, 2, 3):
            before = self.signature()
            if before is None and not write:
                return None
            try:
                with contextlib.closing(self._connect(write=write)) as database:
                    return act(database)
            except sqlite3.OperationalError as cause:
                raise OSError(disk_trouble(self._path, cause)) from cause
            except (sqlite3.DatabaseError, ValueError, TypeError) as cause:
                self._read_through()
                if attempt == 3:
                    raise OSError(disk_trouble(self._path, cause)) from cause
                # another process may have set it aside just now
                if attempt == 2 and self.signature() == before:
                    self._set_aside(cause)
        return None

    def _read_through(self) -> None:
        try:
            read_through(self._path)
        except OSError as cause:
            raise OSError(disk_trouble(self._path, cause)) from cause

    def _connect(self, *, write: bool) -> sqlite3.Connection:
        # What a killed writer left half done is undone by the next one who opens the file and may write to it.
        mode = "rwc" if write else "rw" if self._journal.exists() else "ro"
        database = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_LOCK_WAIT_S,
            isolation_level=None,
        )
        try:
            _check(database)
            if write:
                database.execute("PRAGMA secure_delete = ON").close()
                if _version(database) == 0:
                    database.execute("BEGIN IMMEDIATE")
                    database.execute(_TABLE)
                    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                    database.execute("COMMIT")
                    self._path.chmod(0o600)
        except BaseException:
            database.close()
            raise
        return database

    def _set_aside(self, cause: Exception) -> None:
        aside = self._path.with_name(self._path.name + _DAMAGED)
        with contextlib.suppress(FileNotFoundError):
            self._path.replace(aside)
        # a journal of the old file must not be played into the new one
        self._journal.unlink(missing_ok=True)
        self.notice = f"{self._path} cannot be used ({cause}): it was set aside as {aside.name} and begun anew"
        _log.warning("%s", self.notice)


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _check(database: sqlite3.Connection) -> None:
    version = _version(database)
    if version not in (0, SCHEMA_VERSION):
        raise sqlite3.DatabaseError(f"its version is {version}, {SCHEMA_VERSION} was expected")
    found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(str(found))
    # sqlite3 tells a missing table in the same way as a lock, which passes
    if version and [row[1] for row in database.execute("PRAGMA table_info(feedback)")] != _COLUMNS:
        raise sqlite3.DatabaseError("its table of feedback is not there, or another one")
