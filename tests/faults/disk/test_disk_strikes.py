"""Every kept thing, struck at its file calls by strace: killed just before one, or refused by the disk.

A share of the calls with every run of the tests, drawn by FAULTS_SEED; each of them, with more errors, under
`pytest -m faults`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SEED = os.environ.get("FAULTS_SEED", "6")
_SHARE = "0.07"


def verdicts(kind: str, share: str, repo: Path) -> list[dict[str, Any]]:
    paths = [repo / "tests" / place for place in (".", "faults/disk", "runtime", "export")]
    done = subprocess.run(
        [sys.executable, "-m", "strike_all", kind, share, SEED],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [repo, *paths]))},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    for one in found:
        sys.stdout.write(f"{kind}: {one['thing']}: {one['strikes']} strikes, stood {one['stood']}\n")
    sys.stdout.write(f"{kind}: {sum(one['strikes'] for one in found)} strikes in all\n")
    return found


def assert_well(found: list[dict[str, Any]]) -> None:
    assert [f"{one['thing']}: {line}" for one in found for line in one["wrong"]] == []


def test_killed_before_a_call_the_old_one_or_the_new_one_stands(repo: Path) -> None:
    found = verdicts("killed", _SHARE, repo)
    assert_well(found)
    assert sum(one["strikes"] for one in found) > 10


def test_refused_by_the_disk_the_old_one_or_the_new_one_stands(repo: Path) -> None:
    found = verdicts("EIO", "0.025", repo)
    assert_well(found)
    assert sum(one["failed"] for one in found) > 2


@pytest.mark.faults
def test_killed_before_every_call(repo: Path) -> None:
    found = verdicts("killed", "1.0", repo)
    assert_well(found)
    assert all(one["strikes"] >= 3 for one in found)
    assert sum(one["strikes"] for one in found) > 300


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["EIO", "ENOSPC", "EROFS", "EDQUOT"])
def test_refused_at_every_call(kind: str, repo: Path) -> None:
    assert_well(verdicts(kind, "1.0", repo))
