"""Many strange inputs in a row, each measured: `fuzz_run.py TARGET COUNT SEED` prints what became of them as JSON.

Memory: the kernel's own high-water marks, of resident memory (set back before each input) and of address space, less
what the process had before: a buffer of PyTorch's counts as well as one of Python's. Time: the processor's, spent on
this process.
"""

from __future__ import annotations

import json
import logging
import random
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fuzz_mutations import mutated
from fuzz_targets import TARGETS, Target

MAX_MS = 100.0
MAX_MB = 64.0
# Far above the promise, so that a breach is measured and told; far below what would hurt the machine.
_ROOM_BYTES = 3 << 30
_TRIES = 3


@dataclass(slots=True)
class Tally:
    """What became of a run's inputs.

    Attributes:
        target, seed: of the run.
        inputs, accepted, refused: how many.
        slowest_ms: of the least of three tries, where the first was over half of MAX_MS; else of the only one.
        peak_mb: the most that one input added to the process's memory.
        faults: inputs in hexadecimal (at most 400 bytes of each), with what was wrong.
    """

    target: str
    seed: int
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    slowest_ms: float = 0.0
    peak_mb: float = 0.0
    faults: list[tuple[str, str]] = field(default_factory=list)


class Measured:
    """Gives inputs to a target, one at a time, and keeps the tally."""

    def __init__(self, target: Target, folder: Path, seed: int) -> None:
        """Warm up with the good inputs, so that imports and caches are no input's cost."""
        self._target = target
        self._folder = folder
        self.tally = Tally(target.name, seed)
        self.good = target.good()
        for _ in range(3):
            for data in self.good:
                assert target.accepts(data, folder), f"{target.name}: a good input is refused"
        held = _status_kb("VmSize") * 1024 + _ROOM_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (held, held))

    def give(self, data: bytes) -> None:
        """Give one input."""
        tally = self.tally
        tally.inputs += 1
        try:
            taken, took_ms, peak_mb = self._once(data)
            # Busy machines take breaks: what is slow is asked again, and only what is slow each time is.
            tries = 1
            while took_ms > MAX_MS / 2 and tries < _TRIES:
                took_ms, tries = min(took_ms, self._once(data)[1]), tries + 1
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is the finding
            where = traceback.extract_tb(fault.__traceback__)[-1]
            self._fault(data, f"{type(fault).__name__}: {str(fault)[:200]} ({where.name}, line {where.lineno})")
            return
        tally.accepted += taken
        tally.refused += not taken
        tally.slowest_ms = max(tally.slowest_ms, round(took_ms, 1))
        tally.peak_mb = max(tally.peak_mb, round(peak_mb, 1))
        if took_ms > MAX_MS:
            self._fault(data, f"{took_ms:.0f} ms")
        if peak_mb > MAX_MB:
            self._fault(data, f"{peak_mb:.0f} MB")

    def _once(self, data: bytes) -> tuple[bool, float, float]:
        Path("/proc/self/clear_refs").write_text("5")
        resident, reserved, ever = _status_kb("VmRSS"), _status_kb("VmSize"), _status_kb("VmPeak")
        # Of this process alone: on a busy machine another's work is no cost of the input.
        began_s = time.process_time()
        taken = self._target.accepts(data, self._folder)
        took_ms = (time.process_time() - began_s) * 1e3
        after = _status_kb("VmPeak")
        grown = max(_status_kb("VmHWM") - resident, after - reserved if after > ever else 0)
        return taken, took_ms, max(grown, 0) / 1024

    def _fault(self, data: bytes, what: str) -> None:
        if len(self.tally.faults) < 40:
            self.tally.faults.append((what, data[:400].hex()))
        Path(tempfile.gettempdir(), f"fuzz-{self._target.name}-{len(self.tally.faults)}.bin").write_bytes(data)


def _status_kb(name: str) -> int:
    text = Path("/proc/self/status").read_text()
    return int(text[text.index(f"{name}:") + len(name) + 1 :].split(maxsplit=1)[0])


def run(target: Target, count: int, seed: int, ended: Callable[[], bool] = lambda: False) -> Tally:
    """`count` inputs drawn from `seed`, or fewer when `ended` says so."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        measured = Measured(target, Path(folder), seed)
        draw = random.Random(f"{target.name} {seed}")
        for _ in range(count):
            if ended():
                break
            measured.give(mutated(target, measured.good, draw))
    return measured.tally


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(run(TARGETS[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])))))
