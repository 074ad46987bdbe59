"""What one run of the benchmark found, and its JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.runtime.bench.figures import Ratio, ratio_of_medians
from emomusic_edge.runtime.bench.machine import Machine
from emomusic_edge.runtime.bench.noise import NoiseVerdict, noise_verdict
from side_by_side.goals import Goal, RoundsByCase, median_ms
from side_by_side.roster import DUELS, Duel, member_of
from side_by_side.service import ServiceFigures
from side_by_side.turns import IDLE_BOUND

SCHEMA_VERSION = 3
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
        revision: of the checkout; None where there is none.
        bundles: by name, the sha256 of the model that was measured.
        quick: a trial of few rounds.
        noise: of the turns; None when no case had one.
        idle_share: see turns.Turns.
        about: by worker, packages and versions.
        memory_mib: by worker, after its turns.
        missing: by worker, and `service`, why it was not measured.
        threads: by worker and library, how many work on one run; and how many its process had, idle ones included.
    """

    created_at: datetime
    machine: Machine
    revision: str | None
    bundles: Mapping[str, str]
    quick: bool
    seconds: float
    noise: NoiseVerdict | None
    idle_share: float
    about: Mapping[str, str]
    facts: Mapping[str, Any]
    memory_mib: Mapping[str, float]
    missing: Mapping[str, str]
    rounds_ms: RoundsByCase
    service: ServiceFigures | None
    goals: list[Goal]
    threads: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def trusted(self) -> bool:
        """Whether the figures may be quoted."""
        return all(trusted for trusted, _ in self.verdicts)

    @property
    def service_noise(self) -> NoiseVerdict | None:
        """Of the fixed work around the runs of the service; None when they were not measured."""
        return noise_verdict(self.service.noise_ms) if self.service is not None else None

    @property
    def verdicts(self) -> list[tuple[bool, str]]:
        """Lines that say whether the figures may be quoted, or why not; the first of each says whether they may."""
        parts = (("The turns", self.noise), ("The service", self.service_noise))
        told = [(noise.trusted, f"{part}: {noise.told}") for part, noise in parts if noise is not None]
        if not told:
            told.append((False, "Nothing was measured."))
        if self.idle_share > IDLE_BOUND:
            idle = (
                f"TOO NOISY TO TRUST: workers whose turn it was not used {self.idle_share:.1%} of a core "
                f"(bound {IDLE_BOUND:.0%})."
            )
            told.append((False, idle))
        if self.quick:
            told.append((False, "A trial of few rounds: not to be quoted."))
        return told

    def duels(self) -> list[DuelResult]:
        """The table of peers."""
        rows = []
        for duel in DUELS:
            absent = [case for case in (duel.peer, duel.ours) if not self.rounds_ms.get(case)]
            if absent:
                rows.append(
                    DuelResult(duel, missing=self.missing.get(member_of(absent[0]), f"{absent[0]} was left out"))
                )
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
        "revision": result.revision,
        "bundles": dict(result.bundles),
        "quick": result.quick,
        "trusted": result.trusted,
        "verdicts": [line for _, line in result.verdicts],
        "seconds": result.seconds,
        "noise": asdict(result.noise) if result.noise else None,
        "service_noise": asdict(result.service_noise) if result.service_noise else None,
        "idle_share": result.idle_share,
        "about": dict(result.about),
        "facts": dict(result.facts),
        "threads": {name: dict(told) for name, told in result.threads.items()},
        "memory_mib": dict(result.memory_mib),
        "not_measured": dict(result.missing),
        "goals": [_goal(goal) for goal in result.goals],
        "peers": [asdict(row) for row in result.duels()],
        "service": asdict(result.service) if result.service else None,
        "rounds_ms": {case: [_rounded(times) for times in rounds] for case, rounds in result.rounds_ms.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(told, indent=1) + "\n")


def _goal(goal: Goal) -> dict[str, Any]:
    figures = [{**asdict(figure), "verdict": figure.verdict} for figure in goal.figures]
    return {**asdict(goal), "figures": figures, "verdict": goal.verdict}


def _rounded(times_ms: Sequence[float]) -> list[float]:
    return [round(time, _DIGITS) for time in times_ms]
