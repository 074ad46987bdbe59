"""A checkpoint file becomes named values, and nothing in it runs.

PyTorch's `weights_only` reading is held to a torch that honours it: before 2.6 it could be tricked into running code
(CVE-2025-32434), before 2.10 into writing out of bounds (CVE-2026-24747).
"""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

from emomusic_edge.errors import MissingExtraError, ModelError

LEAST_TORCH = (2, 10)
RESAVE = (
    "load it where it was trained and save plain tensors: safetensors.torch.save_file(model.state_dict(), "
    "'model.safetensors')"
)
INSTALL = "pip install 'emomusic-edge[export]'"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The top-level mapping of a checkpoint: tensors by name, or a wrapper around them.

    Args:
        path: a .safetensors file, or what torch.save wrote.

    Returns:
        The mapping, tensors on the CPU.

    Raises:
        ModelError: the file is missing, no checkpoint, or asks for code to be run.
        MissingExtraError: PyTorch or safetensors is missing or too old.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as cause:
        raise ModelError(
            f"Checkpoint {path} cannot be read: {cause.strerror or cause}.", mend="Name the file that training saved."
        ) from cause
    if not head:
        raise ModelError(f"Checkpoint {path} is empty.", mend="Copy it again.")
    found = _read_safetensors(path) if _is_safetensors(path, head) else _read_torch(path)
    if not isinstance(found, dict) or not found or not all(isinstance(name, str) for name in found):
        raise ModelError(
            f"Checkpoint {path} holds {_described(found)}, a state_dict or a mapping around one was expected.",
            mend=RESAVE,
        )
    return found


def require_torch() -> None:
    """See that PyTorch is there and new enough.

    Raises:
        MissingExtraError: it is not.
    """
    try:
        import torch
    except ImportError as cause:
        raise MissingExtraError("Exporting a checkpoint needs PyTorch.", mend=INSTALL) from cause
    version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if version < LEAST_TORCH:
        raise MissingExtraError(
            f"PyTorch {torch.__version__} found, at least {'.'.join(map(str, LEAST_TORCH))} expected: a checkpoint can "
            "make older ones run code.",
            mend=INSTALL,
        )


def _is_safetensors(path: Path, head: bytes) -> bool:
    """By its content: eight bytes of header length, then JSON; by its name where the content is too short to tell."""
    length = int.from_bytes(head[:8], "little")
    return (head[8:9] == b"{" and length < path.stat().st_size) or path.suffix == ".safetensors"


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        from safetensors.torch import load_file
    except ImportError as cause:
        raise MissingExtraError(f"{path.name} needs the package safetensors.", mend=INSTALL) from cause
    try:
        return dict(load_file(path))
    except Exception as cause:
        raise ModelError(
            f"Checkpoint {path} is not whole: {_first_line(cause)}", mend="Copy it again, and compare its sha256."
        ) from cause


def _read_torch(path: Path) -> object:
    require_torch()
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as cause:
        raise ModelError(_refusal(path, str(cause)), mend=RESAVE) from cause
    except Exception as cause:
        # Damaged files raise RuntimeError, EOFError, KeyError, IndexError, UnicodeDecodeError, struct.error and more.
        raise ModelError(
            f"Checkpoint {path} does not load as a PyTorch file: {_first_line(cause)}",
            mend="Copy it again, and compare its sha256. A file that is whole: " + RESAVE,
        ) from cause


def _refusal(path: Path, told: str) -> str:
    names = re.findall(r"(?:GLOBAL|global|Unsupported class|Unsupported global:?)\s+`?([\w.]+\.[\w]+)", told)
    names = [name for name in names if not name.startswith("torch.serialization")]
    if names:
        return (
            f"Checkpoint {path} asks for {names[0]} to be loaded, which could run code. It was refused, nothing ran. "
            "A whole pickled model and extra objects beside the weights look like this; so does an attack."
        )
    return f"Checkpoint {path} was refused, and nothing of it ran: {_first_line(told)}"


def _described(found: object) -> str:
    if isinstance(found, dict):
        return "an empty mapping" if not found else "a mapping whose names are not all text"
    return f"a {type(found).__module__}.{type(found).__qualname__}"


def _first_line(error: object) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
