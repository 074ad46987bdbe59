"""What one run of the benchmark found, and its JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.runtime.bench.figures import Ratio, ratio_of_medians
from emomusic_edge.runtime.bench.machine import Machine
from emomusic_edge.runtime.bench.noise import NoiseVerdict
from side_by_side.goals import Goal, RoundsByCase, median_ms
from side_by_side.roster import DUELS, Duel
from side_by_side.service import ServiceFigures
from side_by_side.turns import IDLE_BOUND

SCHEMA_VERSION = 1
_DIGITS = 4


@dataclass(frozen=True)
class DuelResult:
    """A row of the table of peers; without figures where one of the two is missing."""

    duel: Duel
    peer_ms: float | None = None
    ours_ms: float | None = None
    ratio: Ratio | None = None
    missing: str = ""


@dataclass(frozen=True)
class Result:
    """All of it.

    Attributes:
        quick: a trial of few rounds.
        noise: of the turns.
        idle_share: see turns.Turns.
        about: by worker, packages and versions.
        memory_mib: by worker, after its turns.
        missing: by case, and `service`, why it was not measured.
    """

    created_at: datetime
    machine: Machine
    quick: bool
    seconds: float
    noise: NoiseVerdict
    idle_share: float
    about: Mapping[str, str]
    facts: Mapping[str, Any]
    memory_mib: Mapping[str, float]
    missing: Mapping[str, str]
    rounds_ms: RoundsByCase
    service: ServiceFigures | None
    goals: list[Goal]

    @property
    def trusted(self) -> bool:
        """Whether the figures may be quoted."""
        return self.noise.trusted and self.idle_share <= IDLE_BOUND and not self.quick

    @property
    def verdict(self) -> str:
        """One line that says so, or why not."""
        told = [self.noise.told]
        if self.idle_share > IDLE_BOUND:
            told.append(
                f"TOO NOISY TO TRUST: workers whose turn it was not used {self.idle_share:.1%} of a core "
                f"(bound {IDLE_BOUND:.0%})."
            )
        if self.quick:
            told.append("A trial of few rounds: not to be quoted.")
        return " ".join(told)

    def duels(self) -> list[DuelResult]:
        """The table of peers."""
        rows = []
        for duel in DUELS:
            absent = [case for case in (duel.peer, duel.ours) if not self.rounds_ms.get(case)]
            if absent:
                rows.append(DuelResult(duel, missing=self.missing.get(absent[0], f"{absent[0]} was left out")))
                continue
            peer, ours = self.rounds_ms[duel.peer], self.rounds_ms[duel.ours]
            rows.append(DuelResult(duel, median_ms(peer), median_ms(ours), ratio_of_medians(peer, ours)))
        return rows


def write_json(path: Path, result: Result) -> None:
    """The whole of it, every single time included."""
    told = {
        "schema_version": SCHEMA_VERSION,
        "created_at": result.created_at.isoformat(),
        "machine": result.machine.model_dump(),
        "quick": result.quick,
        "trusted": result.trusted,
        "verdict": result.verdict,
        "seconds": result.seconds,
        "noise": asdict(result.noise),
        "idle_share": result.idle_share,
        "about": dict(result.about),
        "facts": dict(result.facts),
        "memory_mib": dict(result.memory_mib),
        "not_measured": dict(result.missing),
        "goals": [{**asdict(goal), "met": goal.met} for goal in result.goals],
        "peers": [asdict(row) for row in result.duels()],
        "service": asdict(result.service) if result.service else None,
        "rounds_ms": {
            case: [[round(t, _DIGITS) for t in r] for r in rounds] for case, rounds in result.rounds_ms.items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(told, indent=1) + "\n")


def _rounded(times_ms: Sequence[float]) -> list[float]:
    return [round(time, _DIGITS) for time in times_ms]
