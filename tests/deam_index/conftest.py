"""Where DEAM's annotation files are; they are no part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def deam_dir(repo: Path) -> Path:
    """The folder with valence.csv and arousal.csv; tests that need it are skipped where it is missing."""
    folder = Path(os.environ.get("DEAM_DIR") or repo.parent / "shared" / "deam")
    if not (folder / "valence.csv").is_file():
        pytest.skip(f"DEAM's annotations are not in {folder}; name their folder with DEAM_DIR")
    return folder
