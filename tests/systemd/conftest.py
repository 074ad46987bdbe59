"""A system below a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_root import ENVIRONMENT, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """With an environment that has the program, and nothing else."""
    made = Machine(tmp_path / "root")
    program = made.here(ENVIRONMENT / "bin" / "emomusic-edge")
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return made
