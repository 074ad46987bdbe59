"""Series of affect to simulate on: made up from a seed, or taken from the record of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.affect import FINDINGEMO
from emomusic_edge.errors import ConfigError
from emomusic_edge.runtime.record import Record, read_record

Kind = Literal["steps", "walk", "day"]
KINDS: tuple[Kind, ...] = ("steps", "walk", "day")

# FACTS: mean (valence, arousal) of FindingEmo's annotations by label, for joy, sadness, anger, fear, surprise,
# serenity, boredom, interest and pensiveness.
_LABEL_MEANS = np.array(
    [
        (2.02, 3.04),
        (-1.65, 3.44),
        (-1.80, 3.99),
        (-1.79, 3.76),
        (0.35, 2.76),
        (1.46, 2.24),
        (-0.36, 1.65),
        (0.79, 2.03),
        (-0.90, 2.53),
    ]
)
# A model's estimates from frame to frame, and how often one is too uncertain: on the demo clip the starter models'
# face estimates stand 0.3 to 0.5 sd apart, and a tenth of the frames is held.
_NOISE_SD = 0.4
_SURE_VARIANCE = 0.15
_UNSURE_VARIANCE = 0.9
_UNSURE_SHARE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class AffectSeries:
    """What a camera would have told, n frames, FindingEmo units.

    Attributes:
        name: what to call it.
        t_s: float64 [n], rising from 0.
        mean: float64 [n, 2], the estimate of each frame; NaN in both where there was none.
        variance: float64 [n, 2], of each estimate; for a record, one on either side of the default gate.
        truth: float64 [n, 2], how the person feels, where that is known: in a made-up series.
        steady: whether `mean` was steadied already, so that the stabilizer is left out.
    """

    name: str
    t_s: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    truth: NDArray[np.float64] | None = None
    steady: bool = False

    @property
    def hours(self) -> float:
        """How long it is."""
        return float(self.t_s[-1] - self.t_s[0]) / 3600


def made_up(kind: Kind, *, hours: float, step_s: float, seed: int) -> AffectSeries:
    """A series from a seed.

    `steps`: one of FindingEmo's labels for two to ten minutes, then another. `walk`: a wandering feeling
    (Ornstein-Uhlenbeck, half forgotten after ten minutes) with FindingEmo's mean and sd. `day`: calm at the ends, up
    in the middle, episodes of another label, and nobody there for a fifth of the time.

    Args:
        kind: which.
        hours: how long.
        step_s: between two frames.
        seed: equal seeds give equal series.
    """
    generator = np.random.default_rng([seed, KINDS.index(kind)])
    t_s = np.arange(0.0, hours * 3600, step_s)
    truth = {"steps": _steps, "walk": _walk, "day": _day}[kind](t_s, generator)
    truth = np.clip(truth, FINDINGEMO.low, FINDINGEMO.high)
    mean = np.clip(truth + generator.normal(0, _NOISE_SD, truth.shape), FINDINGEMO.low, FINDINGEMO.high)
    unsure = generator.random(len(t_s)) < _UNSURE_SHARE
    variance = np.where(unsure[:, None], _UNSURE_VARIANCE, _SURE_VARIANCE) * np.ones((1, 2))
    if kind == "day":
        away = _spells(t_s, generator, there_s=1800, away_s=450)
        mean[away] = np.nan
    return AffectSeries(f"{kind}, seed {seed}", t_s, mean, variance, truth)


def from_record(path: Path) -> AffectSeries:
    """The series that `run --record` wrote: the fused estimates; where it holds none, the steadied values.

    A frame that the run held on an axis, or had no stable value for yet, counts as uncertain there.

    Raises:
        ConfigError: it is no record, or holds no affect.
    """
    record = read_record(path)
    mean, steady = _pairs(record, "fused"), False
    if not np.isfinite(mean).all(axis=1).any():
        mean, steady = _pairs(record, "stable"), True
    if not np.isfinite(mean).all(axis=1).any():
        raise ConfigError(f"{path} holds no affect in any row.", mend="Record a run that sees a face or a scene.")
    # what was sure enough is taken from the run: its models' own gates stand in no record
    held = np.column_stack([record["held_valence"], record["held_arousal"]]) != 0
    variance = np.where(held & (not steady), _UNSURE_VARIANCE, _SURE_VARIANCE)
    t_s = record["t_s"] - record["t_s"][0]
    if not (np.isfinite(t_s).all() and (np.diff(t_s) >= 0).all()):
        raise ConfigError(
            f"{path} has times that do not rise.", mend="Make a record with `emomusic-edge run --record`."
        )
    return AffectSeries(path.name, t_s, mean, variance, steady=steady)


def _pairs(record: Record, name: str) -> NDArray[np.float64]:
    return np.column_stack([record[f"{name}_valence"], record[f"{name}_arousal"]])


def _steps(t_s: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    values = np.empty((len(t_s), 2))
    at_s, label = 0.0, -1
    while at_s <= t_s[-1]:
        label = int(generator.choice([other for other in range(len(_LABEL_MEANS)) if other != label]))
        until_s = at_s + generator.uniform(120, 600)
        values[(t_s >= at_s) & (t_s < until_s)] = _LABEL_MEANS[label]
        at_s = until_s
    return values


def _walk(t_s: NDArray[np.float64], generator: np.random.Generator, half_s: float = 600.0) -> NDArray[np.float64]:
    step_s = float(t_s[1] - t_s[0]) if len(t_s) > 1 else 1.0
    keep = 0.5 ** (step_s / half_s)
    kicks = generator.normal(0, 1, (len(t_s), 2)) * np.sqrt(1 - keep**2)
    kicks[0] = generator.normal(0, 1, 2)
    values = np.empty_like(kicks)
    state = np.zeros(2)
    for row, kick in enumerate(kicks):
        state = keep * state + kick
        values[row] = state
    wandering: NDArray[np.float64] = np.array(FINDINGEMO.mean) + values * np.array(FINDINGEMO.sd)
    return wandering


def _day(t_s: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    share = t_s / max(t_s[-1], 1.0)
    base = np.column_stack([0.4 + 0.5 * np.sin(np.pi * share), 1.6 + 1.4 * np.sin(np.pi * share)])
    values: NDArray[np.float64] = base + 0.25 * (_walk(t_s, generator, 900.0) - np.array(FINDINGEMO.mean))
    episodes = _spells(t_s, generator, there_s=2400, away_s=600)
    starts = np.flatnonzero(np.diff(np.concatenate(([0], episodes.astype(int)))) == 1)
    for first in starts:
        last = first + int(np.argmin(episodes[first:])) if not episodes[first:].all() else len(t_s)
        values[first:last] = _LABEL_MEANS[generator.integers(len(_LABEL_MEANS))]
    return values


def _spells(
    t_s: NDArray[np.float64], generator: np.random.Generator, *, there_s: float, away_s: float
) -> NDArray[np.bool_]:
    """Bool [n]: spells of about `away_s`, about `there_s` apart."""
    away = np.zeros(len(t_s), np.bool_)
    at_s = generator.exponential(there_s)
    while at_s <= t_s[-1]:
        until_s = at_s + generator.exponential(away_s)
        away |= (t_s >= at_s) & (t_s < until_s)
        at_s = until_s + generator.exponential(there_s)
    return away
