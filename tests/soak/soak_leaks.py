"""Faults that a soak must find: parts that keep what they are given."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from emomusic_edge.contracts import StateSnapshot

Observer = Callable[[StateSnapshot], None]


def _keeps_snapshots() -> Observer:
    kept: list[StateSnapshot] = []
    return kept.append


def _every(frames: int, do: Callable[[], object]) -> Observer:
    seen = 0

    def count(snapshot: StateSnapshot) -> None:
        nonlocal seen
        seen += 1
        if seen % frames == 0:
            do()

    return count


def _starts_threads() -> Observer:
    forever = threading.Event()
    return _every(100, lambda: threading.Thread(target=forever.wait, daemon=True).start())


LEAKS: dict[str, Callable[[], Observer]] = {
    "snapshots": _keeps_snapshots,
    "descriptors": lambda: _every(100, lambda: os.open(os.devnull, os.O_RDONLY)),
    "threads": _starts_threads,
}
