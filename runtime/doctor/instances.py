"""Whether this program runs here already, and more than once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from emomusic_edge.installation.places import SERVICE as USER_OF_SERVICE
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.instance_lock import holder

from .finding import About, Finding
from .processes import Process, runs
from .setup import Setup
from .system import Told, told_by, user_name

SERVICE = "emomusic-edge.service"

_about = About("instance")


def look(setup: Setup, *, running: Callable[[], Sequence[Process]] = runs, told: Told = told_by) -> Iterator[Finding]:
    """The runs on this machine, and what the service manager says of the service.

    Args:
        setup: where the data folder is.
        running: the runs.
        told: what a command prints.
    """
    found = list(running())
    shown = ", ".join(f"process {one.pid} of {user_name(one.uid)}" for one in found)
    pids = [str(one.pid) for one in found]
    if len(found) > 1:
        yield _about.problem(
            "runs",
            f"{len(found)} runs at once: {shown}",
            meaning="They take the camera and the name in the smart home from each other.",
            mend=f"kill {pids[-1]}",
            pids=pids,
        )
    elif found:
        yield _about.ok("runs", f"one run is going on: {shown}; camera and sound are in its hands", pids=pids)
    else:
        yield _about.ok("runs", "no run of this program is going on", pids=pids)
    yield from _lock(DataLayout(setup.settings.paths.data_dir))
    state = told(["systemctl", "show", "--property=LoadState,ActiveState,Result,NRestarts,StatusText", SERVICE])
    if state is not None and "LoadState=loaded" in state:
        yield _service(dict(line.split("=", 1) for line in state.splitlines() if "=" in line))
        yield from _walls()


def _lock(layout: DataLayout) -> Iterator[Finding]:
    """Whether a run holds the data folder; nothing to tell where none does, or where that may not be seen."""
    try:
        pid = holder(layout.run_lock)
    except OSError:
        return
    if pid is not None:
        shown = f"process {pid}" if pid else "a run"
        yield _about.ok("data folder", f"{shown} has {layout.root}; a second run there is refused", pid=pid)


def _walls() -> Iterator[Finding]:
    """The unit's list of devices, network filter and closed folders hold for what systemd starts, not for this look."""
    if user_name(os.geteuid()) == USER_OF_SERVICE:
        yield _about.ok(
            "walls",
            "this look has the service's user and settings, but not the walls of its unit",
            meaning="A camera, sound card or GPU that is well here may still be closed to the service; what that "
            "says stands above, in `emomusic-edge service status`, and in its health (models).",
        )


def _service(state: dict[str, str]) -> Finding:
    active, result = state.get("ActiveState", ""), state.get("Result", "")
    restarts = int(state["NRestarts"]) if state.get("NRestarts", "").isdecimal() else 0
    if active == "failed":
        return _about.problem(
            "service",
            f"the service has given up ({result})",
            meaning="It is not started again by itself.",
            mend="`journalctl -u emomusic-edge -n 30` tells why; then `sudo systemctl restart emomusic-edge`",
            active=active,
            restarts=restarts,
        )
    if restarts:
        return _about.warning(
            "service",
            f"the service is {active}, and was started again {restarts} {'time' if restarts == 1 else 'times'}",
            meaning="Something ends it.",
            mend="journalctl -u emomusic-edge -n 30",
            active=active,
            restarts=restarts,
        )
    said = state.get("StatusText", "")
    found = f"the service is {active}" + (f", and says: {said}" if said else "")
    return _about.ok("service", found, active=active, restarts=restarts, status=said)
