"""What SQLite's files have in common here: whether one is truly damaged, or its disk only fails."""

from __future__ import annotations

import os
from pathlib import Path

_PIECE_BYTES = 1 << 20


def read_through(path: Path) -> None:
    """Read a file to its end; nothing if there is none.

    SQLite takes what its disk does not give for damage now and then (a failed read within `quick_check` is reported as
    a broken page), so a file is called damaged only once all of it could be read.

    Raises:
        OSError: it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        place = 0
        while piece := os.pread(descriptor, _PIECE_BYTES, place):
            place += len(piece)
    finally:
        os.close(descriptor)
