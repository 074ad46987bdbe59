"""Warnings that a stranger could cause at will, told seldom: what somebody sends must not fill the journal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

EVERY_S = 60.0
_CAUSES = 64


class SeldomLog:
    """One line a minute for each cause; the next one tells how many were left out."""

    def __init__(self, logger: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Bind the logger; `clock` gives monotonic seconds."""
        self._logger = logger
        self._clock = clock
        self._told_at_s: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, cause: str, text: str) -> None:
        """Tell, unless the same cause was told within the last minute.

        Args:
            cause: what counts as the same; a few fixed words, nothing that was sent.
            text: one line.
        """
        now_s = self._clock()
        if now_s - self._told_at_s.get(cause, float("-inf")) < EVERY_S:
            self._left_out[cause] = self._left_out.get(cause, 0) + 1
            return
        if len(self._told_at_s) >= _CAUSES:
            self._told_at_s.clear()
            self._left_out.clear()
        self._told_at_s[cause] = now_s
        more = self._left_out.pop(cause, 0)
        self._logger.warning("%s%s", text, f" (and {more} more like it)" if more else "")
