"""Arrays in a mapped file: what was touched once need not stay in memory."""

from __future__ import annotations

import mmap
from typing import Any

from numpy.typing import NDArray


def mapping_of(array: NDArray[Any]) -> mmap.mmap | None:
    """The mapped file that an array lies in; None if it lies in none."""
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return base


def release_pages(array: NDArray[Any]) -> None:
    """Let the pages of the file that an array lies in go; they come again when touched. Nothing for other arrays."""
    mapping = mapping_of(array)
    if mapping is not None:
        mapping.madvise(mmap.MADV_DONTNEED)
