"""Makes a sparse tensor of a TFLite file dense."""

from __future__ import annotations

from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from emomusic_edge.errors import ModelError

from .vectors import index_vector, indices

# The largest starter tensor holds 295 thousand elements (96 x 96 x 32); a damaged shape asks for billions.
MAX_ELEMENTS = 1 << 26


def dense(values: NDArray[Any], shape: tuple[int, ...], sparsity: Any, name: str) -> NDArray[Any]:
    """Spread the stored values of a sparse tensor over its shape, zero elsewhere.

    The storage is a tree with a level for each dimension in traversal order, a dense level holding every coordinate, a
    compressed one (CSR) those between two segment ends; a dimension split into blocks has two levels. Source: the
    comments on SparsityParameters in TFLite's schema, after Chou, Kjolstad and Amarasinghe, "Format abstraction for
    sparse tensor algebra compilers", 2018.
    """
    order = indices(sparsity.TraversalOrderAsNumpy())
    blocks = indices(sparsity.BlockMapAsNumpy()) if sparsity.BlockMapLength() else ()
    levels = len(shape) + len(blocks)
    if sorted(order) != list(range(levels)) or sparsity.DimMetadataLength() != levels:
        raise ModelError(f"TFLite tensor {name!r}: {sparsity.DimMetadataLength()} sparse levels, {levels} expected.")
    node = np.zeros(1, np.int64)
    coordinates: dict[int, NDArray[np.int64]] = {}
    block_sizes = [1] * len(shape)
    for level, dimension in enumerate(order):
        parent, coordinate, node, size = _expand(sparsity.DimMetadata(level), node)
        if node.size > MAX_ELEMENTS:
            raise ModelError(f"TFLite tensor {name!r}: its sparse levels hold more than {MAX_ELEMENTS} values.")
        coordinates = {key: known[parent] for key, known in coordinates.items()}
        coordinates[dimension] = coordinate
        if dimension >= len(shape):
            block_sizes[blocks[dimension - len(shape)]] = size
    place = []
    for axis, block_size in enumerate(block_sizes):
        within = next((coordinates[len(shape) + i] for i, split in enumerate(blocks) if split == axis), 0)
        place.append(coordinates[axis] * block_size + within)
    if node.size and (int(node.max()) >= values.size or any(int(axis.min()) < 0 for axis in place)):
        raise ModelError(f"TFLite tensor {name!r}: its sparse levels name values that are not stored.")
    spread = np.zeros(shape, values.dtype)
    spread[tuple(place)] = values[node]
    return spread


def _expand(
    level: Any, nodes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
    """Children of every node of one level: (row of the parent, coordinate, the child's own index, dense size)."""
    if level.Format() == tflite.DimensionType.DENSE:
        size = int(level.DenseSize())
        if size < 1 or nodes.size * size > MAX_ELEMENTS:
            raise ValueError(f"dense level of size {size}")
        parent = np.repeat(np.arange(nodes.size), size)
        coordinate = np.tile(np.arange(size), nodes.size)
        return parent, coordinate, nodes[parent] * size + coordinate, size
    segments = index_vector(level.ArraySegments(), level.ArraySegmentsType())
    indices = index_vector(level.ArrayIndices(), level.ArrayIndicesType())
    starts, counts = segments[nodes], segments[nodes + 1] - segments[nodes]
    if (counts < 0).any() or int(counts.sum()) > indices.size:
        raise ValueError("sparse segments do not count up")
    parent = np.repeat(np.arange(nodes.size), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    child = starts[parent] + np.arange(parent.size) - first
    return parent, indices[child], child, 0
