"""The wheel, built from a copy of the checkout: a build in place would leave folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def build_wheel(repo: Path, folder: Path) -> Path:
    """Build the wheel of the checkout as it stands, changes included.

    Args:
        repo: the root of the checkout.
        folder: an empty one, for the copy and the wheel.
    """
    source, out = folder / "checkout", folder / "dist"
    for path in _tracked(repo):
        place = source / path.relative_to(repo)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place, follow_symlinks=False)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)], check=True, capture_output=True
    )
    return next(out.glob("*.whl"))


def _tracked(repo: Path) -> list[Path]:
    """The files of the project: what git knows, or all but what is made here where there is no git."""
    listing = ["git", "-C", str(repo), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listing, capture_output=True, check=True).stdout.decode().split("\0")
        return [repo / name for name in names if name and os.path.lexists(repo / name)]
    except (OSError, subprocess.CalledProcessError):
        made = (".venv", ".git", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "build", "dist", "out")
        return [
            path
            for path in repo.rglob("*")
            if (path.is_symlink() or path.is_file()) and not path.relative_to(repo).parts[0].startswith(made)
        ]
