"""The figures of the fleet benchmark as tables: a column for each number of devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from benchmarks.fleet import Measured

_Row = tuple[str, "Callable[[Measured], str]"]

ROWS: Sequence[_Row] = (
    ("processes, threads of the devices", lambda one: f"{one.processes}, {one.threads}"),
    ("all online after", lambda one: f"{one.connect_s:.1f} s"),
    ("messages a second", lambda one: f"{one.messages_per_s:.0f}"),
    ("states a second and device", lambda one: f"{one.states_per_node_per_s:.2f}"),
    ("states heard of those published", lambda one: f"{one.states_heard:.2%}"),
    ("messages dropped by the broker", lambda one: f"{one.dropped}"),
    ("state, publish() to listener, p50", lambda one: f"{one.state_p50_ms:.1f} ms"),
    ("p99", lambda one: f"{one.state_p99_ms:.1f} ms"),
    ("commands", lambda one: f"{one.commands}"),
    ("not answered and obeyed exactly once", lambda one: f"{one.lost}"),
    ("refused", lambda one: f"{one.refused}"),
    ("command and answer, p50", lambda one: f"{one.command_p50_ms:.1f} ms"),
    ("p99", lambda one: f"{one.command_p99_ms:.1f} ms"),
    ("one to all at once, last answer", lambda one: f"{one.all_at_once_ms:.0f} ms"),
    ("processor, of a device and its share of the broker", lambda one: f"{one.cpu_ms_per_node_s:.2f} ms/s"),
    ("of the broker, each message", lambda one: f"{one.broker_us_per_message:.0f} µs"),
    ("memory of a device", lambda one: f"{1024 * one.node_mb:.0f} KB"),
    ("of it in the broker", lambda one: f"{1024 * one.broker_node_mb:.1f} KB"),
    ("memory of a process without devices", lambda one: f"{one.process_mb:.0f} MB"),
    ("processors in use by all of it", lambda one: f"{one.busy:.0%}"),
    ("by everything else", lambda one: f"{one.others_busy:.0%}"),
    ("latest turn of a device was late by", lambda one: f"{one.behind_ms:.0f} ms"),
)


def fleet_tables(measured: Sequence[Measured], interval_s: float) -> RenderableType:
    """One table, and in words how the cost grew.

    Args:
        measured: one for each number of devices.
        interval_s: from one state of a device to its next.
    """
    table = Table(title=Text("devices on one mosquitto"), title_justify="left", header_style="bold")
    table.add_column("")
    for one in measured:
        table.add_column(str(one.nodes), justify="right")
    for name, cell in ROWS:
        table.add_row(Text(name), *(Text(cell(one)) for one in measured))
    lines: list[RenderableType] = [table, Text(f"Each device tells a state every {interval_s:g} s.")]
    first, last = measured[0], measured[-1]
    if last.nodes > first.nodes:
        grew = last.cpu_ms_per_node_s / first.cpu_ms_per_node_s
        lines.append(
            Text(
                f"From {first.nodes} to {last.nodes} devices, {last.nodes / first.nodes:.1f} times as many, "
                f"the cost of each became {grew:.2f} times what it was."
            )
        )
    return Group(*lines)
