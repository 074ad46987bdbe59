"""The memory that an index takes: a library of 200,000 songs stays mapped, and a build fits a small device."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from index_cost import BUILD, BUILD_MB, Bounds, in_a_process


def test_two_million_windows_stay_under_150_mb(repo: Path) -> None:
    """Resident memory of a process that loads them and chooses 2,000 times, imports and all."""
    command = [sys.executable, str(repo / "benchmarks" / "index_cost.py"), "--large"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=250, cwd=repo).stdout
    found = re.search(r"2,000,000 windows.* (\d+) loaded, (\d+) ready to choose .* (\d+) at most", printed)
    assert found, printed
    assert max(int(mb) for mb in found.groups()) < 150, printed


def test_building_from_deam_stays_under_300_mb(deam_dir: Path, tmp_path: Path) -> None:
    """At its highest, in a process of its own, imports and all."""
    _, peak_mb = in_a_process(BUILD, str(deam_dir), str(tmp_path / "deam.npz"))
    assert peak_mb < BUILD_MB


def test_a_missed_bound_is_told_and_one_that_holds_is_not() -> None:
    bounds = Bounds()
    assert bounds.told("load", 12.34, 30.0, "ms") == "12.3 ms (at most 30)"
    assert bounds.missed == []
    assert bounds.told("query", 0.41, 0.4, "", 2) == "0.41 (at most 0.4)"
    assert bounds.missed == ["MISSED: query: 0.41, at most 0.4"]
