"""Finds windows by nearness in the valence-arousal plane."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from .mapped import mapping_of, release_pages

# Of 4 to 32, none is much slower; at 16 neither the nearest 20 nor what lies around a point is the slowest.
_WINDOWS_A_CELL = 16

# Rows copied at once.
_CHUNK = 1 << 16

_Point = Sequence[float] | NDArray[np.float64]


class WindowGrid:
    """Some windows of an index, searchable by Euclidean distance.

    The plane is cut into equal cells, and the windows lie in memory cell by cell, column after column: what is around a
    point is one slice a column. scipy's k-d tree answers as fast, but its import takes 0.2 s and 39 MB.

    Takes 24 bytes a window and a little more, beside the index: 49 MB for two million.

    Fast where windows are spread as music is. Where nearly all share a few cells (a tight cluster and a few far out),
    or are equally far (a ring, asked from its centre), nearly all are looked at: the nearest 20 of 200,000 then take
    1.5 ms and up to 4, in place of 0.03, on two x86 cores.

    Attributes:
        size: how many windows there are.
    """

    def __init__(self, points: NDArray[np.float32], rows: NDArray[np.integer] | None = None) -> None:
        """Sort the windows into cells.

        Args:
            points: [N, 2], of all windows of an index.
            rows: [M], which of these may be found; None for all. Rising.
        """
        self.size = len(points) if rows is None else len(rows)
        chosen = np.empty((2, self.size), np.float32)
        # copied by slices: not beside all pages of a mapped file
        for first in range(0, self.size, _CHUNK):
            part = slice(first, first + _CHUNK)
            chosen[:, part] = (points[part] if rows is None else points[rows[part]]).T
        release_pages(points)
        self._mapping = mapping_of(points)
        self._side = max(int(sqrt(self.size / _WINDOWS_A_CELL)), 1)
        self._axes = tuple(_Axis(values, self._side) for values in chosen)
        cells = self._axes[0].cells_of(chosen[0])
        cells *= self._side
        cells += self._axes[1].cells_of(chosen[1])
        order = np.argsort(cells, kind="stable")
        # [3, M]: valence, arousal and row of each; a float64 holds any row exactly
        self._windows = np.empty((3, self.size), np.float64)
        for place, values in enumerate(chosen):
            self._windows[place] = values[order]
        self._windows[2] = order if rows is None else rows[order]
        # where each cell begins, and the last one ends
        self._begins = np.zeros(self._side**2 + 1, np.int32)
        np.cumsum(np.bincount(cells, minlength=self._side**2), out=self._begins[1:])

    def nearest(self, point: _Point, k: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """The k nearest windows, or all if there are fewer.

        Returns:
            Distances and rows in the index, [min(k, M)] each, by rising distance; equal ones in no certain order.
        """
        k = min(k, self.size)
        if k < 1:
            return np.empty(0), np.empty(0, np.intp)
        self._let_go()
        # as far as k windows reach where they lie evenly
        cells = sqrt(k / (pi * _WINDOWS_A_CELL))
        while True:
            around = [
                axis.around(float(value), cells / axis.scale) for axis, value in zip(self._axes, point, strict=True)
            ]
            found = self._in(around)
            if found.shape[1] >= k:
                break
            cells *= 2
        squares, rows = _nearest(found, point, k)
        # a nearer one may lie in a cell that was not looked at, but that this distance reaches
        far = sqrt(squares[-1])
        reached = [axis.around(float(value), far) for axis, value in zip(self._axes, point, strict=True)]
        if any(low < seen[0] or high > seen[1] for (low, high), seen in zip(reached, around, strict=True)):
            squares, rows = _nearest(self._in(reached), point, k)
        return np.sqrt(squares), rows

    def within(self, point: _Point, radius: float) -> NDArray[np.intp]:
        """The rows of all windows at most `radius` away, rising."""
        if not self.size:
            return np.empty(0, np.intp)
        self._let_go()
        found = self._in([axis.around(float(value), radius) for axis, value in zip(self._axes, point, strict=True)])
        return np.sort(found[2][_squares(found, point) <= radius * radius].astype(np.intp))

    def _in(self, around: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
        """[3, n]: the windows of all cells from one to another, both included, on each axis."""
        (left, right), (low, high) = around
        begins, side = self._begins, self._side
        slices = [
            self._windows[:, begins[column + low] : begins[column + high + 1]]
            for column in range(left * side, (right + 1) * side, side)
        ]
        return slices[0] if len(slices) == 1 else np.concatenate(slices, axis=1)

    def _let_go(self) -> None:
        """Give back what the last answer led to in a mapped file: songs, starts and titles, which lie all over it.

        Late kernels map up to megabytes around each byte that is touched; in a day the whole file would be resident.
        """
        if self._mapping is not None:
            self._mapping.madvise(mmap.MADV_DONTNEED)


class _Axis:
    """How one axis is cut: `side` cells from the lowest value to the highest.

    Attributes:
        scale: cells a unit.
    """

    def __init__(self, values: NDArray[np.float32], side: int) -> None:
        self._low = float(values.min(initial=np.inf)) if len(values) else 0.0
        extent = float(values.max(initial=-np.inf)) - self._low if len(values) else 0.0
        self.scale = side / extent if extent > 0 else 1.0
        self._last = side - 1

    def cells_of(self, values: NDArray[np.float32]) -> NDArray[np.int32]:
        """int32 [M]: the cell of each value."""
        cells = np.empty(len(values), np.int32)
        for first in range(0, len(values), _CHUNK):
            part = slice(first, first + _CHUNK)
            cells[part] = (values[part].astype(np.float64) - self._low) * self.scale
        return np.minimum(cells, self._last, out=cells)

    def around(self, value: float, far: float) -> tuple[int, int]:
        """The first and the last cell of what is at most `far` from a value; a wrong place gives the nearest cells."""
        # the arithmetic of cells_of, which never falls: what lies between two values lies between their cells
        return self._cell(value - far), self._cell(value + far)

    def _cell(self, value: float) -> int:
        return min(max(int((value - self._low) * self.scale), 0), self._last)


def _squares(windows: NDArray[np.float64], point: _Point) -> NDArray[np.float64]:
    across: NDArray[np.float64] = windows[0] - point[0]
    up: NDArray[np.float64] = windows[1] - point[1]
    across *= across
    up *= up
    across += up
    return across


def _nearest(windows: NDArray[np.float64], point: _Point, k: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Squared distances and rows of the k nearest of at least k windows, by rising distance."""
    squares = _squares(windows, point)
    if len(squares) > k:
        near = squares.argpartition(k - 1)[:k]
        near = near[squares[near].argsort()]
    else:
        near = squares.argsort()
    return squares[near], windows[2][near].astype(np.intp)
