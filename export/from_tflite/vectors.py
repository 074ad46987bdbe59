"""Vectors of a flatbuffer as plain values, of whichever kind the `tflite` package gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray


def indices(vector: Any) -> tuple[int, ...]:
    """What an accessor `…AsNumpy` gave; for an absent vector that is the number 0."""
    return tuple(int(index) for index in np.atleast_1d(vector)) if not isinstance(vector, int) else ()


def index_vector(table: Any, kind: int) -> NDArray[np.int64]:
    """A union's vector of indices of 8, 16 or 32 bits, as int64.

    Raises:
        LookupError: the kind is none of these.
    """
    vectors = {
        tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
        tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
        tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
    }
    vector = vectors[kind]()
    vector.Init(table.Bytes, table.Pos)
    return np.asarray(vector.ValuesAsNumpy() if vector.ValuesLength() else (), np.int64)
