"""The scene model's matrix products and nothing else: how fast this machine could be at best.

Each product has operands of its own, as the model's layers have weights of their own: most of them come from memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from peers.worker import Peer, native_threads, serve

PRODUCTS = "products.json"
PRODUCTS_GRAPH = "products.onnx"
# Large enough that a product is compute alone, small enough to lie beside the models: 17.2 GFLOP, 50 MB.
PEAK_SIDE = 2048


@dataclass(frozen=True)
class Product:
    """`batch` products of [m, k] and [k, n]; `weight` where the second one is a constant of the model."""

    batch: int
    m: int
    k: int
    n: int
    weight: bool

    @property
    def flop(self) -> int:
        """Two for each multiply-add."""
        return 2 * self.batch * self.m * self.k * self.n


def write_products(folder: Path, products: Sequence[Product]) -> None:
    """Put them beside the other inputs."""
    (folder / PRODUCTS).write_text(json.dumps([asdict(product) for product in products]), encoding="utf-8")


def read_products(folder: Path) -> list[Product]:
    """Take them out again."""
    return [Product(**product) for product in json.loads((folder / PRODUCTS).read_text(encoding="utf-8"))]


def load(folder: Path) -> Peer:
    """By numpy's BLAS and by ONNX Runtime's MatMul, which packs the weights beforehand."""
    import onnxruntime as ort
    import threadpoolctl

    random = np.random.default_rng(0)
    products = read_products(folder)
    operands = [
        (
            random.random((product.batch, product.m, product.k), dtype=np.float32),
            random.random((product.batch, product.k, product.n), dtype=np.float32),
            np.empty((product.batch, product.m, product.n), np.float32),
        )
        for product in products
    ]
    side = random.random((PEAK_SIDE, PEAK_SIDE), dtype=np.float32)
    result = np.empty_like(side)

    def by_numpy() -> None:
        for a, b, out in operands:
            np.matmul(a, b, out=out) if len(a) > 1 else np.matmul(a[0], b[0], out=out[0])

    runs: dict[str, Callable[[], object]] = {
        "products_numpy": by_numpy,
        "products_peak": lambda: np.matmul(side, side, out=result),
    }
    options = ort.SessionOptions()
    # Optimising could merge products of like shape into one.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    before = native_threads()
    session = ort.InferenceSession(str(folder / PRODUCTS_GRAPH), options, providers=["CPUExecutionProvider"])
    threads = {"ONNX Runtime": native_threads() - before + 1}
    threads |= {pool["internal_api"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    given = {value.name: random.random(value.shape, dtype=np.float32) for value in session.get_inputs()}
    runs["products_ort"] = lambda: session.run(None, given)
    facts: dict[str, object] = {
        "products_flop": sum(product.flop for product in products),
        "products_peak_flop": 2 * PEAK_SIDE**3,
    }
    facts["threads"] = threads
    return Peer(f"numpy {np.__version__}, onnxruntime {ort.__version__}", runs, facts)


if __name__ == "__main__":
    serve(load)
