"""PyTorch: the source document's loop of T whole passes, the same with the trunk once, and plain matrix products."""

from __future__ import annotations

from pathlib import Path

import cv2
import torch
import transformers
from seed_loop import SceneFaceFusion

from peers.inputs import SAMPLES, read_inputs
from peers.products import read_products
from peers.worker import Peer, serve


def load(folder: Path) -> Peer:
    """Threads and everything else as PyTorch sets them by itself."""
    inputs = read_inputs(folder)
    seed = SceneFaceFusion()
    operands = [
        (torch.randn(product.batch, product.m, product.k), torch.randn(product.batch, product.k, product.n))
        for product in read_products(folder)
    ]

    def products() -> None:
        with torch.no_grad():
            for a, b in operands:
                torch.matmul(a, b) if len(a) > 1 else torch.mm(a[0], b[0])

    return Peer(
        f"torch {torch.__version__}, transformers {transformers.__version__}, random weights",
        {
            "seed_loop": lambda: seed.predict(inputs.frame, inputs.crop, SAMPLES),
            "torch_trunk_once": lambda: seed.predict_trunk_once(inputs.frame, inputs.crop, SAMPLES),
            "products_torch": products,
        },
        {"threads": {"PyTorch": torch.get_num_threads(), "OpenCV": cv2.getNumThreads()}},
    )


if __name__ == "__main__":
    serve(load)
