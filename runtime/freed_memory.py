"""Memory that loading freed goes back to the system, before the process settles down for weeks."""

from __future__ import annotations

import contextlib
import ctypes


def give_back_freed_memory() -> None:
    """Have the C library return what it keeps for later allocations; of no effect where it is not glibc.

    glibc gives back only what lies at the end of its heaps (malloc_trim(3)); what a parser freed lies in the middle.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
