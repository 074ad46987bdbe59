"""The fleet benchmark: its ledger, its counting, and a small run of it against a real mosquitto."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import fields, replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from benchmarks import fleet
from benchmarks.fleet import Measured
from benchmarks.fleet_ears import Ears
from benchmarks.fleet_growth import growth
from benchmarks.fleet_ledger import Ledger
from benchmarks.fleet_nodes import CLOCK_MS, name_of, snapshot
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.messages import state_message

REPO = Path(__file__).resolve().parents[2]


def test_the_ledger_counts_each_command_once() -> None:
    ledger = Ledger()
    for number in range(4):
        ledger.ask(bytes([number]), 1.0)
    ledger.answer(b"\0", True, 1.5)
    ledger.answer(b"\1", False, 2.0)
    ledger.answer(b"\1", False, 2.0)
    ledger.answer(b"nobody asked", True, 2.0)
    assert (ledger.asked, ledger.answered, ledger.refused) == (4, 2, 1)
    assert (ledger.doubled, ledger.strange, ledger.waits) == (1, 1, 2)
    assert ledger.trips_ms == [500.0, 1000.0]


def test_a_state_carries_the_time_at_which_it_was_told() -> None:
    at = datetime(2026, 11, 22, tzinfo=timezone.utc)
    ears = Ears()
    # The second crosses the place at which the clock of the message starts again.
    for told_s in (1234.5678, CLOCK_MS / 1000 - 0.001):
        payload = state_message(snapshot(3, 7, told_s), at).payload().encode()
        ears.hear("emomusic/room-0003/state", payload, told_s + 0.25)
    ears.hear("emomusic/room-0003/health", b"{}", 0.0)
    report = ears.report()
    assert report["counts"] == {"state": 2, "health": 1, "music": 0}
    state_ms = report["state_ms"]
    assert isinstance(state_ms, dict)
    assert state_ms["p50"] == pytest.approx(250.0, abs=0.1)
    assert state_ms["max"] == pytest.approx(250.0, abs=0.1)


def test_what_the_broker_drops_is_counted_from_the_beginning_of_the_measured_time() -> None:
    ears = Ears()
    ears.hear("$SYS/broker/publish/messages/dropped", b"3", 0.0)
    ears.begin()
    ears.hear("$SYS/broker/publish/messages/dropped", b"5", 0.0)
    assert ears.report()["dropped"] == 2


def test_each_simulated_state_differs_from_the_one_before() -> None:
    values = []
    for seq in range(200):
        stable = snapshot(0, seq, 0.0).stable
        assert stable is not None
        values.append(stable.mean)
    assert all(abs(a.valence - b.valence) > 0.02 for a, b in itertools.pairwise(values))
    assert all(-3 <= value.valence <= 3 and 0 <= value.arousal <= 6 for value in values)


def test_names_are_names_of_devices() -> None:
    assert BrokerSettings(node=name_of(999)).node == "room-0999"


def measured(nodes: int, **others: float) -> Measured:
    """A run in which a device costs 1.5 ms of processor time a second and 100 KB."""
    zeros = {field.name: 0 for field in fields(Measured)}
    costs = {"nodes_cpu_s": 0.012 * nodes, "broker_cpu_s": 0.003 * nodes, "node_mb": 0.09, "broker_node_mb": 0.01}
    return Measured(**{**zeros, "nodes": nodes, "seconds": 10.0, "messages_per_s": 1.0, **costs, **others})  # type: ignore[arg-type]


def test_a_cost_in_proportion_to_the_devices_is_no_growth() -> None:
    assert growth([measured(1000), measured(125), measured(500, node_mb=0.11)]) == []


@pytest.mark.parametrize(
    ("cost", "says"),
    [
        ({"nodes_cpu_s": 16.0}, "processor time of a device grew with their number: 1.50 ms/s among 125, 1.90 ms/s"),
        ({"broker_cpu_s": 7.0}, "processor time of a device grew with their number: 1.50 ms/s among 125, 1.90 ms/s"),
        ({"node_mb": 0.12}, "memory of a device grew with their number: 102.40 KB among 125, 133.12 KB among 1000"),
        ({"broker_node_mb": 0.04}, "memory of a device grew with their number: 102.40 KB among 125, 133.12 KB"),
    ],
)
def test_a_device_that_costs_more_among_many_is_told(cost: dict[str, float], says: str) -> None:
    (told,) = growth([measured(125), measured(250), measured(1000, **cost)])
    assert told.startswith(says)
    assert told.endswith("expected at most 1.25 times as much")


def test_a_handful_of_devices_is_not_judged() -> None:
    assert growth([measured(4), measured(8, nodes_cpu_s=5.0)]) == []


def test_a_cost_that_grows_and_a_lost_command_fail_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "measure", lambda nodes, plan: measured(nodes, node_mb=nodes / 1000))
    with pytest.raises(SystemExit, match=r"^memory of a device grew .* among 100, .* among 200;"):
        fleet.main(["--nodes", "100", "200"])
    monkeypatch.setattr(fleet, "measure", lambda nodes, plan: replace(measured(nodes), commands=3))
    with pytest.raises(SystemExit, match=r"^6 commands were not answered and obeyed exactly once$"):
        fleet.main(["--nodes", "100"])


@pytest.mark.broker
def test_a_small_run_loses_nothing(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "benchmarks.fleet", "--quick", "--json", str(tmp_path / "fleet.json")]
    done = subprocess.run(line, cwd=REPO, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "fleet.json").read_text())
    assert [run["nodes"] for run in told["runs"]] == [4, 8]
    for run in told["runs"]:
        assert run["commands"] == run["answered"] == run["obeyed"] > 0
        assert run["refused"] == run["doubled"] == run["strange"] == 0
        assert run["states_heard"] == 1.0
        # a device, its network thread, and the one that takes the turns
        assert run["threads"] == run["nodes"] + run["processes"]
    assert "8" in done.stdout
