"""The steps of an installation, done one after the other."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.installation.apart import run_apart
from emomusic_edge.installation.errors import ServiceError
from emomusic_edge.installation.machine import below, plain
from emomusic_edge.installation.steps import (
    KeepFile,
    MakeFolder,
    Note,
    RemoveFile,
    RemoveFolder,
    Run,
    SaveCopy,
    Step,
    WriteFile,
)

# Runs a program and gives its exit code; FileNotFoundError where there is none of that name.
Runner = Callable[[Sequence[str]], int]


def carry_out(
    steps: Iterable[Step], tell: Callable[[str], None], *, root: Path | None = None, run: Runner = run_apart
) -> None:
    """Do the steps; each is told before it is done.

    Raises:
        ServiceError: a command failed; what came before it stays, and the same line again goes on from there.
        OSError: a file or folder could not be written.
    """
    # What is installed is read by another user, whatever the mask of the one who installs it.
    mask = os.umask(0o022)
    try:
        for step in steps:
            tell(str(step))
            _do(step, root, run, tell)
    finally:
        os.umask(mask)


def _do(step: Step, root: Path | None, run: Runner, tell: Callable[[str], None]) -> None:
    match step:
        case MakeFolder(path, mode):
            folder = below(root, path)
            if not folder.is_dir():
                folder.mkdir(parents=True)
                folder.chmod(mode)
        case WriteFile(path, content, mode):
            write_atomic(plain(root, path), content, mode=mode)
        case SaveCopy(path, copy):
            # Whole or not at all: the next step writes over what it is a copy of.
            kept = plain(root, path)
            write_atomic(plain(root, copy), kept.read_bytes(), mode=stat.S_IMODE(kept.stat().st_mode))
        case RemoveFile(path):
            below(root, path).unlink(missing_ok=True)
        case RemoveFolder(path, whole):
            _remove_folder(below(root, path), whole=whole)
        case Run():
            _run(step, run, tell)
        case KeepFile() | Note():
            pass


def _remove_folder(folder: Path, *, whole: bool) -> None:
    if folder.is_symlink():
        raise ServiceError(f"{folder} is a link to {folder.readlink()}, expected a folder.", mend=f"sudo rm {folder}")
    if whole:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
        return
    # Not there, or not empty: then it is somebody's.
    with contextlib.suppress(OSError):
        folder.rmdir()


def _run(step: Run, run: Runner, tell: Callable[[str], None]) -> None:
    try:
        code = run(step.argv)
        failed = f"ended with exit code {code}" if code else ""
    except OSError as cause:
        failed = f"cannot be run: {cause.strerror or cause}"
    if not failed:
        return
    if step.optional:
        tell(f"         (it {failed}; {step.optional})")
        return
    raise ServiceError(
        f"`{shlex.join(step.argv)}` {failed}; what it said stands above.",
        mend=step.mend or "What was done until then stays; the same line again goes on from there.",
    )
