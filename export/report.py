"""What an export found, for people and for programs; the bundle's manifest keeps the gates' figures."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from emomusic_edge.manifest import GateRecord, Manifest

_VERSIONS_OF = ("torch", "transformers", "onnx", "onnxruntime", "onnxscript", "nvidia-modelopt", "numpy")
# ru_maxrss is in kibibytes on Linux.
_KIB_PER_MB = 1000.0 / 1.024


@dataclass(frozen=True, slots=True)
class ExportReport:
    """One export.

    Attributes:
        bundle: where it was written.
        manifest: as written.
        pictures: where calibration and held pictures are from.
        seconds: of each step, by its name.
        peak_memory_mb: resident, of this process until now.
    """

    bundle: Path
    manifest: Manifest
    pictures: str
    seconds: dict[str, float]
    peak_memory_mb: float

    def to_json(self) -> str:
        """The whole report as one JSON document."""
        told = {
            "bundle": str(self.bundle),
            "manifest": json.loads(self.manifest.to_json()),
            "pictures": self.pictures,
            "seconds": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
            "peak_memory_mb": round(self.peak_memory_mb, 1),
            "versions": versions(),
        }
        return json.dumps(told, indent=2)


@dataclass
class Steps:
    """Tells each step as it begins, and remembers how long it took.

    Attributes:
        announce: gets one line a step.
        seconds: by the name of a step that has ended.
    """

    announce: Callable[[str], None] = lambda _: None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, told: str) -> Iterator[None]:
        """A step called `name` in the report, `told` to people as it begins."""
        self.announce(told)
        started_s = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started_s


def failed(gates: tuple[GateRecord, ...]) -> list[GateRecord]:
    """Those over their bounds."""
    return [gate for gate in gates if gate.state == "failed"]


def peak_memory_mb() -> float:
    """Of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_MB


def versions() -> dict[str, str]:
    """Of what an export depends on, as far as it is installed."""
    found = {}
    for name in _VERSIONS_OF:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
