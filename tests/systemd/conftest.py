"""A system below a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_root import ENVIRONMENT, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """With an environment that has the program, and nothing else."""
    # What others can write is refused, and some systems let a user's group write what the user makes.
    mask = os.umask(0o022)
    made = Machine(tmp_path / "root")
    program = made.here(ENVIRONMENT / "bin" / "emomusic-edge")
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    yield made
    os.umask(mask)
