"""A small file that must be kept in the end: what the disk refuses now is written as soon as the disk takes it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from emomusic_edge.disk_trouble import disk_trouble

from .daemon import started

_log = logging.getLogger(__name__)

RETRY_S = 3.0
"""Between two attempts: less than the five seconds within which all is to be well again."""


class KeptTrying:
    """Writes at once, in the caller's thread; what failed is tried again on a thread of its own, which ends with it."""

    def __init__(self, path: Path, write: Callable[[], None], *, costs: str, retry_s: float = RETRY_S) -> None:
        """Bind the write.

        Args:
            path: the file, for messages.
            write: writes what is to be kept now; raises OSError. Called by one thread at a time.
            costs: what is lost as long as it is not written, for messages.
            retry_s: between two attempts.
        """
        self._path = path
        self._write = write
        self._costs = costs
        self._retry_s = retry_s
        self._lock = threading.Lock()
        self._trying = False
        self._reason = ""

    @property
    def reason(self) -> str:
        """Why it is not kept, and what that costs; empty when it is."""
        return self._reason

    def write(self) -> None:
        """Write now, or as soon as it can be."""
        with self._lock:
            self._attempt()
            if self._reason and not self._trying:
                self._trying = started(self._again, f"write {self._path.name}") is not None

    def _again(self) -> None:
        # Looks at nothing before it has the lock: whoever started it may not have noted so yet.
        trying = True
        while trying:
            time.sleep(self._retry_s)
            with self._lock:
                if self._reason:
                    self._attempt()
                self._trying = trying = bool(self._reason)

    def _attempt(self) -> None:
        try:
            self._write()
        except OSError as cause:
            reason = f"{disk_trouble(self._path, cause)}: {self._costs}"
            if reason != self._reason:
                _log.warning("%s", reason)
            self._reason = reason
            return
        if self._reason:
            _log.info("%s is kept again", self._path)
        self._reason = ""
