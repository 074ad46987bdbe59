"""A library of 200,000 songs stays mapped."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def test_two_million_windows_stay_under_150_mb(repo: Path) -> None:
    """Resident memory of a process that loads them and chooses 2,000 times, imports and all."""
    command = [sys.executable, str(repo / "benchmarks" / "index_cost.py"), "--large"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=250, cwd=repo).stdout
    found = re.search(r"2,000,000 windows.* (\d+) loaded, (\d+) ready to choose .* (\d+) at most", printed)
    assert found, printed
    assert max(int(mb) for mb in found.groups()) < 150, printed
