"""The steps that make the service's Python environment and install the package into it; no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emomusic_edge.installation.source import Source
from emomusic_edge.installation.steps import Note, Run, Step, WriteFile

_MEND = "Without a network: --wheels DIR (docs/service.md says how to fill it), or --venv PATH."
_COMMON = "onnxruntime"


def environment_made(environment: Path, python: Path, *, system_packages: bool) -> Run:
    """The step that makes it.

    Args:
        environment: where it is to be.
        python: makes it.
        system_packages: let it see the system's: JetPack brings TensorRT as one of them.
    """
    site = ("--system-site-packages",) if system_packages else ()
    return Run(
        (str(python), "-m", "venv", *site, str(environment)),
        mend="On Debian, Ubuntu and JetPack: sudo apt-get install python3-venv",
    )


def package_installed(environment: Path, source: Source, *, pins: str, onnxruntime: str) -> Iterator[Step]:
    """The steps that install what the package needs, then the package itself.

    Args:
        environment: it is there by then.
        source: where the package comes from.
        pins: the lock that fits; empty without one.
        onnxruntime: another package that brings ONNX Runtime there; empty without one.
    """
    pip = (str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    if onnxruntime:
        yield Note(f"{onnxruntime} stays: {_COMMON} is not installed over it")
    if pins and source.wheels is None:
        lock = environment / "pins.txt"
        yield WriteFile(lock, without(pins, _COMMON) if onnxruntime else pins, why="what it needs, pinned with hashes")
        yield Run((*pip, "--require-hashes", "-r", str(lock)), mend=_MEND)
    else:
        why = "they come from your folder" if source.wheels else "there are no pins for this machine or Python"
        yield Note(f"the packages are not checked against pinned hashes: {why}")
        # Asked for one by one, because the package itself would ask for the common one too.
        others = [one for one in source.needs if named(one) != _COMMON]
        needed = others if onnxruntime else [source.requirement]
        yield Run((*pip, *source.offline, *needed), mend=_MEND)
    # Anew even where the version is the same: pip would pass over a wheel whose files are others.
    yield Run((*pip, *source.offline, "--no-deps", "--force-reinstall", source.package), mend=_MEND)
    if source.folder is not None:
        # pip builds in the folder itself; what root leaves there would be in its owner's way.
        made = (str(source.folder / name) for name in ("build", "emomusic_edge.egg-info"))
        like = f"--reference={source.folder / 'setup.cfg'}"
        yield Run(("chown", "-R", "-h", like, *made), optional="what pip built in that folder stays root's")


def named(requirement: str) -> str:
    """The package of a requirement such as `onnxruntime<1.29,>=1.23.2` or `onnxruntime==1.23.2 ; marker`."""
    return re.split(r"[\s<>=!~;\[@(]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def without(lock: str, package: str) -> str:
    """A lock without the entries of one package."""
    entries = re.split(r"\n(?=\S)", lock.rstrip("\n"))
    return "\n".join(entry for entry in entries if named(entry) != package) + "\n"
