"""Whether a device costs no more among many than among few: a rule over figures, without clock or process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.fleet import Measured

GROWTH_BOUND = 1.25
"""So many times what a device costs among fewer, it may cost among more; what remains is the machine's own noise."""
STEADY_NODES = 100
"""Below this the kernel's ticks of 10 ms and whole pages of memory are more than what the devices cost."""

_COSTS: Sequence[tuple[str, str, Callable[[Measured], float]]] = (
    ("processor time", "ms/s", lambda one: one.cpu_ms_per_node_s),
    ("memory", "KB", lambda one: 1024 * (one.node_mb + one.broker_node_mb)),
)


def growth(measured: Sequence[Measured], bound: float = GROWTH_BOUND) -> list[str]:
    """What grew faster than the number of devices, a sentence for each; empty when nothing did.

    Each number of devices is held against the smallest one of at least STEADY_NODES.

    Args:
        measured: one for each number of devices, in any order.
        bound: how many times the cost of a device among the fewest is still taken for the same.
    """
    judged = sorted((one for one in measured if one.nodes >= STEADY_NODES), key=lambda one: one.nodes)
    found = []
    for many in judged[1:]:
        few = judged[0]
        for name, unit, cost in _COSTS:
            if cost(many) > bound * cost(few):
                found.append(
                    f"{name} of a device grew with their number: {cost(few):.2f} {unit} among {few.nodes}, "
                    f"{cost(many):.2f} {unit} among {many.nodes}; expected at most {bound:g} times as much"
                )
    return found
