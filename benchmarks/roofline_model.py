"""Holds a model's counts against the machine's peaks: what bounds it, its ideal time, how far it is from that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from emomusic_edge.runtime.bench.machine import Machine

from .roofline_count import Kind, Product
from .roofline_peaks import Peak

# Of each model the shapes with most multiply-adds are measured by themselves.
_OWN_SHAPES = 3
_LARGE_MACS = 500_000_000
_BEST_PERCENT = 10


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PeakRow(_Row):
    """A piece of work and its rate in `unit`, by the median run and by the one at the end of the fastest tenth."""

    name: str
    kind: Kind | None
    threads: int
    roof: bool
    shape: tuple[Kind, int, int, int] | None
    unit: str
    median: float
    best: float


class ModelRow(_Row):
    """A model.

    Attributes:
        macs: multiply-adds of one inference.
        weight_bytes: read once each.
        activation_bytes: of what passes between its products; they stay in the caches of this machine.
        intensity: operations (two a multiply-add) for each byte of its weights.
        bound: what most of the ideal time goes to.
        ideal_ms: see `ideal_ms`.
        own_ms: its multiply-adds at the rate of products of its own shapes, weights from memory; None for a small one.
        p50_ms: measured.
    """

    title: str
    precision: str
    macs: int
    weight_bytes: int
    activation_bytes: int
    intensity: float
    bound: Literal["compute", "memory"]
    ideal_ms: float
    own_ms: float | None
    p50_ms: float
    fastest_kind: Kind


class RooflineReport(_Row):
    """Everything."""

    schema_version: Literal[1] = 1
    machine: Machine
    threads: int
    cache_bytes: int
    noise_told: str
    noise_trusted: bool
    peaks: tuple[PeakRow, ...]
    models: tuple[ModelRow, ...]


def own_shapes(models: Iterable[Sequence[Product]]) -> list[Product]:
    """Of each large model the shapes of single products with most multiply-adds together, no shape twice."""
    found: dict[tuple[Kind, int, int, int], Product] = {}
    for products in models:
        if sum(product.macs for product in products) < _LARGE_MACS:
            continue
        totals: dict[tuple[Kind, int, int, int], tuple[int, Product]] = {}
        for product in products:
            if product.weight_bytes and product.count == 1:
                macs, _ = totals.get(_shape(product), (0, product))
                totals[_shape(product)] = (macs + product.macs, product)
        ranked = sorted(totals.values(), key=lambda item: -item[0])
        found |= {_shape(product): product for _, product in ranked[:_OWN_SHAPES]}
    return list(found.values())


def _shape(product: Product) -> tuple[Kind, int, int, int]:
    return ("int8" if product.kind == "int8" else "fp32", product.rows, product.inner, product.columns)


def peak_row(peak: Peak, rounds_ms: Sequence[Sequence[float]]) -> PeakRow:
    """The rates of a piece of work, from its times by round."""
    times_ms = np.concatenate([np.asarray(times) for times in rounds_ms])
    best_ms, median_ms = np.percentile(times_ms, (_BEST_PERCENT, 50))
    rates = {"median": 1e3 * peak.amount / float(median_ms), "best": 1e3 * peak.amount / float(best_ms)}
    return PeakRow(
        name=peak.name,
        kind=peak.kind,
        threads=peak.threads,
        roof=peak.roof,
        shape=peak.shape,
        unit=peak.unit,
        median=rates["median"],
        best=rates["best"],
    )


def roof(peaks: Sequence[PeakRow], kind: Kind | None, threads: int) -> float:
    """The machine's limit: the best median rate of a kind; fp16 on a CPU is computed as fp32."""
    kind = "fp32" if kind == "fp16" else kind
    return max(peak.median for peak in peaks if peak.roof and peak.kind == kind and peak.threads == threads)


def ideal_ms(product: Product, gflops: float, gbytes: float) -> float:
    """The least time of a product: its arithmetic, or its weights from memory.

    Williams, Waterman & Patterson, "Roofline", CACM 2009; activations are left out, as they stay in the caches.
    """
    return max(2e-6 * product.macs / gflops, 1e-6 * product.weight_bytes / gbytes)


def model_row(
    title: str,
    precision: str,
    products: Sequence[Product],
    rounds_ms: Sequence[Sequence[float]],
    peaks: Sequence[PeakRow],
    threads: int,
    cache_bytes: int,
) -> ModelRow:
    """A model's line. Weights that all fit into the last cache need not come from memory in each inference."""
    weight_bytes = sum(product.weight_bytes for product in products)
    macs = sum(product.macs for product in products)
    gbytes = roof(peaks, None, threads) if weight_bytes > cache_bytes else float("inf")
    compute = [2e-6 * product.macs / roof(peaks, product.kind, threads) for product in products]
    ideal = sum(ideal_ms(product, roof(peaks, product.kind, threads), gbytes) for product in products)
    memory = 1e-6 * weight_bytes / gbytes
    times_ms = np.concatenate([np.asarray(times) for times in rounds_ms])
    kinds = {product.kind: 0 for product in products}
    for product in products:
        kinds[product.kind] += product.macs
    return ModelRow(
        title=title,
        precision=precision,
        macs=macs,
        weight_bytes=weight_bytes,
        activation_bytes=sum(product.activation_bytes for product in products),
        intensity=2 * macs / max(weight_bytes, 1),
        bound="compute" if sum(compute) >= memory else "memory",
        ideal_ms=ideal,
        own_ms=_own_ms(products, peaks, threads),
        p50_ms=float(np.median(times_ms)),
        fastest_kind=max(kinds, key=lambda kind: kinds[kind]),
    )


def _own_ms(products: Sequence[Product], peaks: Sequence[PeakRow], threads: int) -> float | None:
    """The time of all multiply-adds, those of a shape that was measured at its rate, the rest at the mean of these."""
    measured = {peak.shape: peak.median for peak in peaks if not peak.roof and peak.threads == threads}
    rates = {shape: measured[shape] for shape in map(_shape, products) if shape in measured}
    if not rates:
        return None
    known = [product for product in products if _shape(product) in rates]
    known_ms = sum(2e-6 * product.macs / rates[_shape(product)] for product in known)
    return known_ms * sum(product.macs for product in products) / sum(product.macs for product in known)
