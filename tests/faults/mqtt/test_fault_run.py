"""200 faults in a row, drawn by a seed, on one device at its own settings: `make faults`."""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import pytest
from fault_kinds import KINDS
from fault_report import Struck, judge, table
from fault_rig import RIGHT, Rig, rigged

from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ

pytestmark = pytest.mark.broker

# Long enough now and then for a will (5 s) to fall into it.
MAX_CALM_S = 3.0


def drawn(count: int, chance: random.Random) -> list[str]:
    """Every kind equally often, as far as it goes, in an order of its own."""
    kinds = list(KINDS)
    faults = kinds * (count // len(kinds)) + chance.sample(kinds, count % len(kinds))
    chance.shuffle(faults)
    return faults


def strike(rig: Rig, kind: str, chance: random.Random) -> Struck:
    """A command, the fault, the recovery, another command."""
    time.sleep(chance.uniform(0.0, MAX_CALM_S))
    told = len(rig.device.told)
    before = rig.device.told[-1]
    right_before = rig.controller.kept() == RIGHT
    answered_before = rig.ask()
    accepted = rig.proxy.accepted
    blow = KINDS[kind](rig, chance)
    recovery = rig.recovery(blow, accepted)
    after = rig.device.told[-1]
    return Struck(
        kind=kind,
        note=blow.note,
        half_open=blow.half_open,
        reconnected=recovery.reconnected,
        back_s=recovery.back_s,
        right_s=recovery.right_s,
        asked=2 + blow.kept_answers + blow.lost_answers,
        lost=(not answered_before) + (not recovery.answered) + blow.lost_answers,
        right_before=right_before,
        right_after=recovery.kept == RIGHT,
        resident_kib=after.resident_kib,
        anonymous_kib=after.anonymous_kib,
        threads=after.threads,
        descriptors=after.descriptors,
        standstills=after.standstills - before.standstills,
        lacking_ms=1e3 * (after.lacking_frames - before.lacking_frames) / SAMPLE_RATE_HZ,
        step_gap_ms=max(line.longest_step_gap_ms for line in rig.device.told[told - 1 :]),
    )


@pytest.mark.faults
@pytest.mark.timeout(3 * 3600)
def test_many_faults_in_a_row(starter_layout: DataLayout, repo: Path, tmp_path: Path) -> None:
    # fewer, to try the run itself
    count = int(os.environ.get("FAULTS", "200"))
    seed = int(os.environ.get("FAULTS_SEED", "6"))
    chance = random.Random(seed)
    run: list[Struck] = []
    with rigged(tmp_path, starter_layout) as rig:
        rig.settled()
        for number, kind in enumerate(drawn(count, chance), 1):
            run.append(strike(rig, kind, chance))
            sys.stdout.write(run[-1].line(number) + f" load {os.getloadavg()[0]:.1f}\n")
            sys.stdout.flush()
        controller = rig.controller
        twice = sum(answers > 1 for answers in controller.answers.values())
        obeyed_twice = max(0, rig.device.obeyed - controller.may_be_obeyed)
        faults = rig.device.faults
        assert rig.close() == 0
        verdicts = judge(run, twice=twice, obeyed_twice=obeyed_twice, faults=faults)
    lines = [f"{'held' if verdict.held else 'BROKEN':8}{verdict.what}: {verdict.told}" for verdict in verdicts]
    report = "\n".join([f"{count} faults, seed {seed}", "", table(run), "", *lines, ""])
    (repo / "out").mkdir(exist_ok=True)
    (repo / "out" / "faults.md").write_text(report, encoding="utf-8")
    sys.stdout.write("\n" + report + "\nreport: out/faults.md\n")
    assert all(verdict.held for verdict in verdicts), report
