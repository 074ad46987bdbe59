"""A thread that does small work aside; where none can be made for want of memory, the loop must not end with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)


def started(work: Callable[[], None], name: str) -> threading.Thread | None:
    """A running thread that ends with the process; None where the system gives none now, which is logged."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        _log.warning("no thread for %s: %s; it is tried again", name, error)
        return None
    return thread


def lives(thread: threading.Thread | None) -> bool:
    """Whether it was started and still runs."""
    return thread is not None and thread.is_alive()
