"""Finds windows by nearness in the valence-arousal plane."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .mapped import mapping_of, release_pages

# Points a leaf. scipy's own 16 takes 24 MB more for two million points; a query costs the same.
_LEAF_SIZE = 64

# Rows copied at once.
_CHUNK = 1 << 16


class WindowTree:
    """Some windows of an index, searchable by Euclidean distance.

    Takes 24 bytes a window and a tenth more, beside the index: 55 MB for two million.

    Attributes:
        size: how many windows there are.
    """

    def __init__(self, points: NDArray[np.float32], rows: NDArray[np.integer] | None = None) -> None:
        """Build the tree.

        Args:
            points: [N, 2], of all windows of an index.
            rows: [M], which of these may be found; None for all. Rising.
        """
        self._rows = None if rows is None else rows.astype(np.int32)
        self.size = len(points) if self._rows is None else len(self._rows)
        # copied by slices and handed over: the tree would copy it as a whole, beside all pages of a mapped file
        chosen = np.empty((self.size, 2), np.float64)
        for first in range(0, self.size, _CHUNK):
            part = slice(first, first + _CHUNK)
            chosen[part] = points[part] if self._rows is None else points[self._rows[part]]
        release_pages(points)
        self._mapping = mapping_of(points)
        # Half of a run's imports, by time: here, where it is done beside the loading of the models.
        from scipy.spatial import cKDTree

        # the sliding midpoint rule is built in a third of the time of median splits, and no slower to ask
        self._tree = (
            cKDTree(chosen, leafsize=_LEAF_SIZE, balanced_tree=False, compact_nodes=False) if self.size else None
        )

    def nearest(self, point: ArrayLike, k: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """The k nearest windows, or all if there are fewer.

        Returns:
            Distances and rows in the index, [min(k, M)] each, by rising distance; equal ones in no certain order.
        """
        k = min(k, self.size)
        if self._tree is None or k < 1:
            return np.empty(0), np.empty(0, np.intp)
        self._let_go()
        distances, found = self._tree.query(point, k=k)
        return np.atleast_1d(distances), self._index_rows(np.atleast_1d(found))

    def within(self, point: ArrayLike, radius: float) -> NDArray[np.intp]:
        """The rows of all windows at most `radius` away, rising."""
        if self._tree is None:
            return np.empty(0, np.intp)
        self._let_go()
        found = np.asarray(self._tree.query_ball_point(point, radius, return_sorted=True), np.intp)
        return self._index_rows(found)

    def _let_go(self) -> None:
        """Give back what the last answer led to in a mapped file: songs, starts and titles, which lie all over it.

        Late kernels map up to megabytes around each byte that is touched; in a day the whole file would be resident.
        """
        if self._mapping is not None:
            self._mapping.madvise(mmap.MADV_DONTNEED)

    def _index_rows(self, found: NDArray[np.intp]) -> NDArray[np.intp]:
        return found if self._rows is None else self._rows[found].astype(np.intp)
