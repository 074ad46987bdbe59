"""Many devices on one broker: rates, delays, lost commands, and what a device more costs.

make bench-fleet
.venv/bin/python -m benchmarks.fleet --nodes 125 1000 --seconds 30 --json out/fleet.json

Simulated devices (the real publisher, its connection and its commands; states made up instead of seen) in processes of
125 talk to one mosquitto on this machine. A process of its own hears everything; another client sends each device a
command every five seconds, and at the end one to all at once. All of it shares this machine's processors: the figures
tell how the cost grows, and are the worst case for delays; true devices bring a processor each. Exit code 1, with the
reason, when a command was lost or when a device costs more among many than among few (fleet_growth.py).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.fleet_asker import Asker
from benchmarks.fleet_growth import GROWTH_BOUND, growth
from benchmarks.fleet_process import Helper, cpu_s, machine_cpu_s, mosquitto, raise_file_limit, rss_mb

NODES = (125, 250, 500, 1000)
# Half of what a device may tell at most; at 0.51 a thousand of them take all of two processors.
INTERVAL_S = 1.0
# What docs/fleet.md recommends.
BROKER_LINES = ("set_tcp_nodelay true",)
COMMAND_EVERY_S = 5.0
_SETTLE_S = 5.0
# While the devices hold still, what is under way arrives, and the broker tells its own count.
_QUIET_S = 2.5
_ANSWER_WITHIN_S = 30.0


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        seconds: how long, once all are connected and have settled.
        settle_s: how long they settle.
        interval_s: from one state of a device to its next.
        per_process: devices in one process.
        broker_lines: lines for the broker's config.
    """

    seconds: float
    settle_s: float
    interval_s: float
    per_process: int
    broker_lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """What a number of devices came to. Processor seconds are those of the measured time.

    Attributes:
        nodes, processes, threads: devices, the processes they are in, and the threads in those.
        seconds: how long was measured.
        connect_s: from starting the processes until every device was online.
        messages_per_s: state, health and music messages that came out at the listener.
        states_per_node_per_s: of them, states, for each device.
        states_heard: states that came, as a share of the calls of publish(); a device whose line is busy waits for its
            next turn, and tells that newer state.
        dropped: messages that the broker says it dropped.
        state_p50_ms, state_p99_ms, state_max_ms: from publish() to the listener.
        behind_ms: how late the latest turn of a device was: what the processors could not keep up with.
        commands, answered, refused, doubled, strange, obeyed: sent; answered; of them refused; answers too many;
            answers to nothing; commands that came out of the devices' inboxes.
        command_p50_ms, command_p99_ms, command_max_ms: from sending a command to its answer.
        all_at_once_ms: from sending one to every device at once to the last answer.
        nodes_cpu_s, broker_cpu_s, measuring_cpu_s: of the devices, of mosquitto, of the listener and the asker.
        busy, others_busy: the share of this machine's processors that all of it used, and that everything else did.
        node_mb, broker_node_mb: memory a device takes in its process, and in the broker.
        process_mb: of a process before it has any device.
    """

    nodes: int
    processes: int
    threads: int
    seconds: float
    connect_s: float
    messages_per_s: float
    states_per_node_per_s: float
    states_heard: float
    dropped: int
    state_p50_ms: float
    state_p99_ms: float
    state_max_ms: float
    behind_ms: float
    commands: int
    answered: int
    refused: int
    doubled: int
    strange: int
    obeyed: int
    command_p50_ms: float
    command_p99_ms: float
    command_max_ms: float
    all_at_once_ms: float
    nodes_cpu_s: float
    broker_cpu_s: float
    measuring_cpu_s: float
    busy: float
    others_busy: float
    node_mb: float
    broker_node_mb: float
    process_mb: float

    @property
    def cpu_ms_per_node_s(self) -> float:
        """Processor milliseconds a second that a device costs, with its share of the broker."""
        return 1000.0 * (self.nodes_cpu_s + self.broker_cpu_s) / (self.nodes * self.seconds)

    @property
    def broker_us_per_message(self) -> float:
        """Processor microseconds the broker takes for a message in and out; commands are counted in its time."""
        return 1e6 * self.broker_cpu_s / (self.messages_per_s * self.seconds)

    @property
    def lost(self) -> int:
        """Commands without exactly one answer, or that no device obeyed."""
        return self.commands - self.answered + self.doubled + self.strange + abs(self.commands - self.obeyed)


def measure(nodes: int, plan: Plan) -> Measured:
    """Run so many devices against a fresh mosquitto."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port, broker = stack.enter_context(mosquitto(folder, *plan.broker_lines))
        broker_empty_mb = rss_mb(broker)
        ears = Helper("benchmarks.fleet_ears", port)
        stack.callback(ears.close)
        ears.read()
        asker = stack.enter_context(Asker(port))
        began_s = time.monotonic()
        crowds = []
        for first in range(0, nodes, plan.per_process):
            count = min(plan.per_process, nodes - first)
            crowds.append(Helper("benchmarks.fleet_nodes", port, first, count, plan.interval_s))
            stack.callback(crowds[-1].close)
        for crowd in crowds:
            crowd.read()
        connect_s = time.monotonic() - began_s
        time.sleep(plan.settle_s)

        pids = {"nodes": [crowd.pid for crowd in crowds], "broker": [broker], "measuring": [ears.pid, os.getpid()]}
        before = [crowd.ask("hold") for crowd in crowds]
        time.sleep(_QUIET_S)
        ears.ask("begin")
        used = {part: sum(map(cpu_s, group)) for part, group in pids.items()}
        machine_s = machine_cpu_s()
        began_s = time.monotonic()
        for crowd in crowds:
            crowd.ask("go")
        asker.ask_evenly(nodes, COMMAND_EVERY_S, plan.seconds)
        after = [crowd.ask("hold") for crowd in crowds]
        seconds = time.monotonic() - began_s
        used = {part: sum(map(cpu_s, group)) - used[part] for part, group in pids.items()}
        machine_s = machine_cpu_s() - machine_s
        time.sleep(_QUIET_S)
        heard = ears.ask("report")
        asker.wait_answered(_ANSWER_WITHIN_S)
        trips_ms = np.asarray(asker.ledger.trips_ms or [np.nan])
        memory_mb = [rss_mb(crowd.pid) for crowd in crowds]
        broker_mb = rss_mb(broker)

        for crowd in crowds:
            crowd.ask("go")
        all_at_once_s = asker.ask_all(range(nodes), _ANSWER_WITHIN_S)
        # What was answered is obeyed at the device's next turn.
        time.sleep(4 * plan.interval_s)
        done = [crowd.ask("hold") for crowd in crowds]
        ledger = asker.ledger
        steps = sum(one["steps"] for one in after) - sum(one["steps"] for one in before)
        states = heard["counts"]["state"]
        processors = os.cpu_count() or 1
        return Measured(
            nodes=nodes,
            processes=len(crowds),
            threads=sum(one["threads"] for one in done),
            seconds=seconds,
            connect_s=connect_s,
            messages_per_s=sum(heard["counts"].values()) / seconds,
            states_per_node_per_s=states / seconds / nodes,
            states_heard=states / steps,
            dropped=heard["dropped"],
            state_p50_ms=heard["state_ms"]["p50"],
            state_p99_ms=heard["state_ms"]["p99"],
            state_max_ms=heard["state_ms"]["max"],
            behind_ms=max(one["behind_ms"] for one in after),
            commands=ledger.asked,
            answered=ledger.answered,
            refused=ledger.refused,
            doubled=ledger.doubled,
            strange=ledger.strange,
            obeyed=sum(one["commands"] for one in done),
            command_p50_ms=float(np.percentile(trips_ms, 50)),
            command_p99_ms=float(np.percentile(trips_ms, 99)),
            command_max_ms=float(trips_ms.max()),
            all_at_once_ms=1000.0 * all_at_once_s,
            nodes_cpu_s=used["nodes"],
            broker_cpu_s=used["broker"],
            measuring_cpu_s=used["measuring"],
            busy=sum(used.values()) / (seconds * processors),
            others_busy=max(machine_s - sum(used.values()), 0.0) / (seconds * processors),
            node_mb=(sum(memory_mb) - sum(one["empty_mb"] for one in done)) / nodes,
            broker_node_mb=(broker_mb - broker_empty_mb) / nodes,
            process_mb=float(np.mean([one["empty_mb"] for one in done])),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each number of devices, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=list(NODES), help=f"default: {NODES}")
    parser.add_argument("--seconds", type=float, default=30.0, help="measure each for so long (default 30)")
    parser.add_argument("--interval-s", type=float, default=INTERVAL_S, help=f"between states (default {INTERVAL_S})")
    parser.add_argument("--per-process", type=int, default=125, help="devices in one process (default 125)")
    parser.add_argument("--broker-line", action="append", help=f"for the broker's config (default: {BROKER_LINES[0]})")
    parser.add_argument(
        "--growth-bound",
        type=float,
        default=GROWTH_BOUND,
        help=f"how many times its cost among the fewest a device may cost among more (default {GROWTH_BOUND})",
    )
    parser.add_argument("--quick", action="store_true", help="4 and 8 devices for 2 s: does it run, not how fast")
    parser.add_argument("--json", type=Path, help="write every figure")
    given = parser.parse_args(arguments)
    from rich.console import Console

    from benchmarks.fleet_tables import fleet_tables

    lines = tuple(given.broker_line or BROKER_LINES)
    plan = Plan(given.seconds, _SETTLE_S, given.interval_s, given.per_process, lines)
    if given.quick:
        given.nodes, plan = [4, 8], Plan(2.0, 0.5, given.interval_s, 4, lines)
    raise_file_limit()
    console = Console()
    measured = []
    for nodes in given.nodes:
        console.print(f"{nodes} devices …", style="dim", highlight=False)
        measured.append(measure(nodes, plan))
    console.print(fleet_tables(measured, plan.interval_s))
    if given.json is not None:
        from emomusic_edge.artefacts import write_atomic

        given.json.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "interval_s": plan.interval_s,
            "command_every_s": COMMAND_EVERY_S,
            "broker_lines": lines,
            "processors": os.cpu_count(),
            "runs": [asdict(one) for one in measured],
        }
        write_atomic(given.json, json.dumps(told, indent=1).encode())
        console.print(f"json: {given.json}", highlight=False, markup=False)
    faults = growth(measured, given.growth_bound)
    if lost := sum(one.lost for one in measured):
        faults.insert(0, f"{lost} commands were not answered and obeyed exactly once")
    if faults:
        raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    main()
