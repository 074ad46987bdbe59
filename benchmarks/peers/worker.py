"""The worker's side of the protocol: load, say what it is, time runs when asked, end with its parent."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# prctl(2)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Peer:
    """What a worker has loaded.

    Attributes:
        about: packages and versions, and whether weights are random; one line.
        runs: by name of the case, one run of it.
        facts: what else the table wants to tell. `threads`: by library, how many work on one run, the caller's among
            them.
    """

    about: str
    runs: Mapping[str, Callable[[], object]]
    facts: Mapping[str, Any] | None = None


def native_threads() -> int:
    """Threads of this process, those of libraries too: a pool shows as so many more."""
    return len(list(Path("/proc/self/task").iterdir()))


def serve(load: Callable[[Path], Peer]) -> None:
    """Answer requests until the input ends.

    `{"do": "load"}` is answered with `about`, `cases` and `facts`; `{"do": "run", "case": NAME, "count": N}` with
    `times_ms`, timed here so that the pipe is not in them; whatever fails with `error`.

    Args:
        load: makes the peer from the folder of the inputs, the first argument of the command line.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C reaches the whole terminal; the parent ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    peer: Peer | None = None
    for line in sys.stdin:
        try:
            request = json.loads(line)
            if request["do"] == "load":
                peer = load(Path(sys.argv[1]))
                answer: dict[str, Any] = {"about": peer.about, "cases": list(peer.runs), "facts": peer.facts or {}}
            elif peer is None:
                answer = {"error": "nothing is loaded yet"}
            else:
                answer = {"times_ms": _times_ms(peer.runs[request["case"]], request["count"])}
        except Exception as error:  # noqa: BLE001 - a peer may fail in any way of its own, and the parent tells it
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _times_ms(run: Callable[[], object], count: int) -> list[float]:
    times = []
    for _ in range(count):
        started_s = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - started_s))
    return times
