"""No core dumps: what a crashed process remembered of a picture is not written to a disk."""

from __future__ import annotations

import resource


def dump_no_core() -> None:
    """Keep this process, and those that it starts, from leaving core files.

    A limit of 0 stops files only; 1 also stops the pipe to a collector (fs/coredump.c: the value is its guard against
    a collector that crashes itself).
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    limit = 1 if hard == resource.RLIM_INFINITY else min(hard, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
