"""What the machine can do at best: matrix products in fp32 and int8, and bytes a second from memory.

Matrix products run in ONNX Runtime and, in fp32, in numpy's BLAS; the larger figure is the machine's. Bandwidth comes
from arrays larger than the last cache, as in STREAM (McCalpin 1995): copy (2 arrays), triad (3), and a sum of products
that reads one array, as a product with one row reads its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx.parser
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper
from threadpoolctl import ThreadpoolController

from emomusic_edge.runtime.engines.onnx_runtime import session_options

from .roofline_count import Kind, Product

# Square products of this size keep every unit busy and fit a few MB.
_LARGE = 2048
# Weights of a model's own shape come from memory anew, as in a pass through the whole model.
_OWN_WEIGHTS_BYTES = 64_000_000
_LEAST_ARRAY_BYTES = 128_000_000
_CACHES_IN_ARRAY = 4
# Pieces of a triad that stay in the second cache between its two steps.
_PIECE = 32_768

Unit = Literal["GFLOP/s", "GB/s"]


@dataclass(frozen=True, slots=True)
class Peak:
    """One piece of work.

    Attributes:
        name: what, for the table.
        kind: what numbers it multiplies; None for bytes.
        threads: that work on it.
        amount: 10^9 operations (two a multiply-add) or bytes of one run.
        roof: whether its rate may count as the machine's limit; a model's own shape may not.
        run: once.
        shape: kind, rows, inner and columns of a product.
    """

    name: str
    kind: Kind | None
    threads: int
    amount: float
    roof: bool
    run: Callable[[], object]
    shape: tuple[Kind, int, int, int] | None = None

    @property
    def unit(self) -> Unit:
        """Of `amount` a second."""
        return "GB/s" if self.kind is None else "GFLOP/s"


def peaks(own: Iterable[Product], threads: int, cache_bytes: int) -> list[Peak]:
    """All that is measured.

    Args:
        own: products of the models, whose shapes are measured too.
        threads: of one inference; one thread is measured beside it.
        cache_bytes: of the last cache.
    """
    counts = sorted({1, threads})
    found = [_numpy_square(count) for count in counts]
    found += [_onnx_product(kind, _LARGE, _LARGE, _LARGE, 1, n) for kind in ("fp32", "int8") for n in counts]
    for product in own:
        repeats = max(_OWN_WEIGHTS_BYTES // max(product.weight_bytes, 1), 1)
        repeats = min(repeats, 64)
        found.append(_onnx_product(product.kind, product.rows, product.inner, product.columns, repeats, threads))
    return found + [peak for count in counts for peak in _bandwidth(count, cache_bytes)]


def last_cache_bytes(root: Path = Path("/")) -> int:
    """Of the largest cache of the first core; 32 MB where it is not told."""
    sizes = [file.read_text(encoding="ascii").strip() for file in root.glob("sys/devices/system/cpu/cpu0/cache/*/size")]
    return max((int(size[:-1]) * {"K": 1024, "M": 1024**2}[size[-1]] for size in sizes), default=32 * 1024**2)


def _numpy_square(threads: int) -> Peak:
    random = np.random.default_rng(0)
    a, b = (random.random((_LARGE, _LARGE), dtype=np.float32) for _ in range(2))
    out = np.empty_like(a)
    controller = ThreadpoolController()

    def run() -> None:
        with controller.limit(limits=threads, user_api="blas"):
            np.matmul(a, b, out=out)

    return Peak(f"fp32 {_LARGE} x {_LARGE} x {_LARGE}, BLAS", "fp32", threads, 2e-9 * _LARGE**3, True, run)


def _onnx_product(kind: Kind, rows: int, inner: int, columns: int, repeats: int, threads: int) -> Peak:
    """`repeats` products of the same activations with weights of their own, stored in the graph as in a model's."""
    random = np.random.default_rng(0)
    kept: Kind = "int8" if kind == "int8" else "fp32"
    op = "MatMulInteger" if kept == "int8" else "MatMul"
    names = [f"y{i}" for i in range(repeats)]
    outputs = ", ".join(f"{'int32' if kept == 'int8' else 'float'}[{rows},{columns}] {name}" for name in names)
    body = " ".join(f"{name} = {op} (a, b{i})" for i, name in enumerate(names))
    model = onnx.parser.parse_model(
        f'<ir_version: 9, opset_import: ["": 17]> product ({"uint8" if kept == "int8" else "float"}[{rows},{inner}] a) '
        f"=> ({outputs}) {{ {body} }}"
    )
    a: NDArray[np.generic]
    if kept == "int8":
        a = random.integers(0, 255, (rows, inner)).astype(np.uint8)
        stored = [random.integers(-127, 127, (inner, columns)).astype(np.int8) for _ in names]
    else:
        a = random.random((rows, inner), dtype=np.float32)
        stored = [random.random((inner, columns), dtype=np.float32) for _ in names]
    model.graph.initializer.extend(numpy_helper.from_array(b, f"b{i}") for i, b in enumerate(stored))
    # The runtime's own: what its models are held against must not sleep, or spin, where they do not.
    options = session_options(threads)
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    large = rows == inner == columns == _LARGE
    name = f"{kept} {rows} x {inner} x {columns}" + (", ONNX Runtime" if large else f", {repeats} weights")
    amount = 2e-9 * rows * inner * columns * repeats
    shape = (kept, rows, inner, columns)
    return Peak(name, kept, threads, amount, large, lambda: session.run(None, {"a": a}), shape)


def _bandwidth(threads: int, cache_bytes: int) -> list[Peak]:
    values = max(_CACHES_IN_ARRAY * cache_bytes, _LEAST_ARRAY_BYTES) // 4
    values -= values % (threads * _PIECE)
    a, b, c = (np.full(values, 1.0, np.float32) for _ in range(3))
    size_gb = 1e-9 * a.nbytes
    pool = ThreadPoolExecutor(threads)
    bounds = [(values // threads * i, values // threads * (i + 1)) for i in range(threads)]
    scratch = [np.empty(_PIECE, np.float32) for _ in bounds]
    controller = ThreadpoolController()

    def each(do: Callable[[int, int, int], object]) -> Callable[[], object]:
        return lambda: list(pool.map(lambda i: do(i, *bounds[i]), range(threads)))

    def copy(_: int, start: int, end: int) -> None:
        np.copyto(a[start:end], b[start:end])

    def triad(thread: int, start: int, end: int) -> None:
        for piece in range(start, end, _PIECE):
            np.multiply(c[piece : piece + _PIECE], 3.0, out=scratch[thread])
            np.add(b[piece : piece + _PIECE], scratch[thread], out=a[piece : piece + _PIECE])

    ones = np.ones(_PIECE, np.float32)

    def read(_: int, start: int, end: int) -> None:
        np.dot(b[start:end].reshape(-1, _PIECE), ones)

    def read_all() -> None:
        with controller.limit(limits=1, user_api="blas"):
            each(read)()

    return [
        Peak("copy", None, threads, 2 * size_gb, True, each(copy)),
        Peak("triad", None, threads, 3 * size_gb, True, each(triad)),
        Peak("read", None, threads, size_gb, True, read_all),
    ]
