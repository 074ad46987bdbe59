"""Tens of thousands of strange inputs of each kind, each measured, then as many chosen by the code they reach.

FUZZ inputs (50,000 where it is not set) in each part, drawn from FUZZ_SEED; the first part tells what it saw, which
docs/fuzzing.md quotes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fuzz_run import MAX_MB, MAX_MS
from fuzz_targets import TARGETS

HERE = Path(__file__).parent
COUNT = os.environ.get("FUZZ", "50000")
SEED = os.environ.get("FUZZ_SEED", "1")
# Checkpoints take a hundredth of a second each; a busy machine several times that.
TIMEOUT_S = 300 + int(COUNT) * 0.2


def told(python: str, script: str, *arguments: str) -> dict[str, Any]:
    """The line of JSON that a driver ends with."""
    path = os.pathsep.join(map(str, (HERE, HERE.parent, HERE.parents[1])))
    ran = subprocess.run(
        [python, str(HERE / script), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    found: dict[str, Any] = next(json.loads(line) for line in ran.stdout.splitlines() if line.startswith('{"target"'))
    sys.stdout.write(f"{found}\n")
    return found


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", TARGETS)
def test_no_strange_input_costs_more_than_promised(name: str) -> None:
    found = told(sys.executable, "fuzz_run.py", name, COUNT, SEED)
    assert found["faults"] == []
    assert found["inputs"] == int(COUNT)
    assert found["slowest_ms"] <= MAX_MS
    assert found["peak_mb"] <= MAX_MB


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_chosen_by_its_coverage_is_a_fault(name: str, tmp_path: Path) -> None:
    python = os.environ.get("ATHERIS_PYTHON", "")
    if not python or subprocess.run([python, "-c", "import atheris"], capture_output=True, check=False).returncode:
        pytest.skip("atheris is not here: see .ci/fuzz_environment")
    assert told(python, "fuzz_atheris.py", name, COUNT, SEED, str(tmp_path))["inputs"] == int(COUNT)
