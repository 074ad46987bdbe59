"""What a Python environment of the service has, and which pins fit it. Changes nothing."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path

import emomusic_edge

# The machines and Pythons that locks/service.txt was resolved for; see .ci/write_locks.
_PINNED_MACHINES = ("x86_64", "aarch64")
_PINNED_PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def pins_for(interpreter: Path) -> str:
    """The packages that the service needs, pinned with their hashes, for a Python of this machine.

    Args:
        interpreter: the Python, or a link to it.

    Returns:
        The text of the lock; empty where none was made for this machine or this Python.
    """
    if platform.machine() not in _PINNED_MACHINES or _version(interpreter) not in _PINNED_PYTHONS:
        return ""
    return (Path(emomusic_edge.__file__).parent / "locks" / "service.txt").read_text(encoding="utf-8")


def other_onnxruntime(environment: Path) -> str:
    """The package beside the common `onnxruntime` that brings the module of that name, such as `onnxruntime-gpu`.

    Two of them write the same files, so the common one must not be installed over it.
    """
    found = environment.glob("lib/python*/site-packages/onnxruntime_*.dist-info")
    return min((path.name.split("-")[0].replace("_", "-") for path in found), default="")


def _version(interpreter: Path) -> str:
    """Such as `3.10`, from the name that the links end at; empty where it does not tell."""
    end = interpreter.resolve()
    if end == Path(sys.executable).resolve():
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    named = re.fullmatch(r"python(3\.\d+)", end.name)
    return named[1] if named else ""
