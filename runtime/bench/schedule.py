"""In which order the cases take turns, so that a machine that grows warm or busy slows all of them alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def turns(cases: int, seed: int = 0) -> Iterator[tuple[int, ...]]:
    """Endless rounds, each an order of all cases: one drawn at random, then the same backwards, and so on.

    Two cases thus come as A B, B A or as B A, A B: over each pair of rounds every case stands in the middle at the
    same time on average, and a steady drift cancels.

    Args:
        cases: how many there are.
        seed: of the orders.
    """
    random = np.random.default_rng(seed)
    while True:
        order = tuple(int(case) for case in random.permutation(cases))
        yield order
        yield order[::-1]
