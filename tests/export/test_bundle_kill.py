from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["over another", "fresh", "without exchange"])
def test_killed_at_any_point_the_old_bundle_or_the_new_one_stands(kind: str, repo: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kill_points", str(tmp_path), kind],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(repo), str(repo / "tests"), str(repo / "tests/export")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    points, old, new, none, restored, *left = done.stdout.split()
    assert int(points) > 80
    assert int(new) >= 2
    # what stood before the writing began to move things
    assert int(none if kind == "fresh" else old) > 50
    assert (int(restored) > 0) == (kind == "without exchange")
    assert not left, "scratch folders of killed processes are cleaned up by the next write"
