"""What was measured: the code that exported the bundles, the files themselves, the revision of the checkout."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from emomusic_edge.artefacts import sha256_of
from emomusic_edge.manifest import read_manifest

_DIGEST_DIGITS = 12


def code_digest(roots: Iterable[Path]) -> str:
    """A name for the Python code in folders, and of single files: 12 hex digits of a sha256 over names and contents."""
    digest = hashlib.sha256()
    for root in roots:
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            name = path.relative_to(root.parent).as_posix()
            content = path.read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:_DIGEST_DIGITS]


def only_folder(root: Path, name: str) -> Path:
    """The folder of a name below `root`, made if need be; all others beside it go, files stay."""
    kept = root / name
    kept.mkdir(parents=True, exist_ok=True)
    for other in root.iterdir():
        if other != kept and other.is_dir() and not other.is_symlink():
            shutil.rmtree(other)
    return kept


def model_hashes(bundles: Mapping[str, Path]) -> dict[str, str]:
    """The sha256 of the file of each bundle that runs on a processor, by the name it is measured under."""
    return {name: sha256_of(folder / read_manifest(folder).model_file(on_cpu=True)) for name, folder in bundles.items()}


def revision(repo: Path) -> str | None:
    """The commit that is checked out, `+dirty` where files differ; None where `repo` is no checkout of its own."""
    top = _git(repo, "rev-parse", "--show-toplevel")
    commit = _git(repo, "rev-parse", "HEAD")
    if top is None or commit is None or Path(top).resolve() != repo.resolve():
        return None
    return commit + ("" if _git(repo, "status", "--porcelain") == "" else "+dirty")


def _git(repo: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=repo, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
