"""Points of people to try a mapping with: as FindingEmo's annotations are spread."""

from __future__ import annotations

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .alignment import RATINGS_GIVEN

# About half of a rating's step of 1: what a model's mean adds to a whole rating.
NOISE_SD = 0.3

_PACKAGE = "findingemo_light"
_FILE = Path("data") / "annotations_single.ann"


@dataclass(frozen=True, slots=True, eq=False)
class PeopleQueries:
    """Some points and where they come from.

    Attributes:
        points: float64 [n, 2], valence -3..3 and arousal 0..6, with noise; some lie beyond.
        source: for a person.
    """

    points: NDArray[np.float64]
    source: str


def draw_queries(count: int, *, seed: int = 0, noise_sd: float = NOISE_SD) -> PeopleQueries:
    """Draw ratings, with replacement, and add normal noise.

    From FindingEmo's 25,869 annotations, if its authors' package findingemo-light is installed: valence and arousal
    of one annotation stay together. Without it from the counts of each axis alone, as if the two had nothing to do
    with each other, which spreads the queries somewhat wider.
    """
    generator = np.random.default_rng(seed)
    annotations = _annotations()
    if annotations is not None:
        drawn = annotations[generator.integers(0, len(annotations), count)]
        source = f"{len(annotations):,} annotations of FindingEmo (package findingemo-light)"
    else:
        drawn = np.column_stack(
            [generator.choice(ratings, count, p=shares / shares.sum()) for ratings, shares in RATINGS_GIVEN]
        )
        source = "FindingEmo's counts per axis, valence and arousal apart (findingemo-light is not installed)"
    return PeopleQueries(drawn + generator.normal(0.0, noise_sd, (count, 2)), source)


def _annotations() -> NDArray[np.float64] | None:
    # found without importing it: the package asks for network libraries
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        try:
            with (Path(folder) / _FILE).open(encoding="utf-8", newline="") as file:
                rows = [(float(row["valence"]), float(row["arousal"])) for row in csv.DictReader(file)]
        except (OSError, ValueError, KeyError, TypeError, csv.Error):
            continue
        if rows:
            return np.array(rows, np.float64)
    return None
