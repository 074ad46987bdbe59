"""A checkpoint file becomes named values, and nothing in it runs.

PyTorch's `weights_only` reading is held to a torch that honours it: before 2.6 it could be tricked into running code
(CVE-2025-32434), before 2.10 into writing out of bounds (CVE-2026-24747). What it would still follow into a full
memory or a crash is looked for first: `archive` holds the zip to its own size, `rehearsal` the pickle to its calls.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

from emomusic_edge.errors import MissingExtraError, ModelError

from .archive import ArchiveError, pickle_of
from .rehearsal import BoundedFile, ForeignNameError, Rehearsal, RehearsalError

LEAST_TORCH = (2, 10)
# What training frameworks keep beside the weights. Each comes back as an inert object, so that none of its code is
# imported or run: fastai's optimiser state, Lightning's hyper-parameters.
HARMLESS = (
    *("fastcore.foundation.L", "argparse.Namespace", "builtins.list", "builtins.dict"),
    *("pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath"),
    *("pathlib._local.Path", "pathlib._local.PosixPath", "pathlib._local.WindowsPath"),
    *("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.ndarray"),
    *("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
    *("numpy.dtypes.Float64DType", "numpy.dtypes.Float32DType", "numpy.dtypes.Int64DType"),
)
HARMLESS_MAPPINGS = (
    "collections.defaultdict",
    *("lightning.fabric.utilities.data.AttributeDict", "lightning_fabric.utilities.data.AttributeDict"),
    *("lightning.pytorch.utilities.parsing.AttributeDict", "pytorch_lightning.utilities.parsing.AttributeDict"),
)
RESAVE = (
    "load it where it was trained and save plain tensors: safetensors.torch.save_file(model.state_dict(), "
    "'model.safetensors')"
)
_LEGACY_PICKLES = 5
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
    if _is_safetensors(path, head):
        found: object = _read_safetensors(path)
    elif head.startswith((b"PK\x03\x04", b"\x80")):
        found = _read_torch(path)
    else:
        raise ModelError(
            f"{path} is no checkpoint: it begins with {head[:8]!r}, which neither safetensors nor torch.save writes.",
            mend="Name the file that training saved.",
        )
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


class _Inert:
    """Stands for an object of another package: takes whatever a pickle hands to it, and does nothing."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        """Forget it."""


class _InertMapping:
    """The same for what a pickle fills by keys, which PyTorch lets it do to its own kinds of mapping alone."""

    def __new__(cls, *_: object) -> Any:
        return OrderedDict()


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

    inert: list[Any] = [(_Inert, name) for name in HARMLESS] + [(_InertMapping, name) for name in HARMLESS_MAPPINGS]
    _rehearse(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(inert):
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


def _rehearse(path: Path) -> None:
    """See that PyTorch will find nothing in the file that it should not follow."""
    size = path.stat().st_size
    rehearsal = Rehearsal(frozenset(HARMLESS), frozenset(HARMLESS_MAPPINGS), size)
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            # pickletools warns of odd escapes in texts of the oldest protocol.
            warnings.simplefilter("ignore")
            if file.read(2) == b"PK":
                rehearsal.run(pickle_of(file, size))
            else:
                file.seek(0)
                # torch.save's old form: magic number, version, the machine's kind, the content, the storages' names.
                for _ in range(_LEGACY_PICKLES):
                    rehearsal.run(BoundedFile(file, size))
    except ForeignNameError as cause:
        raise ModelError(_refusal(path, f"GLOBAL {cause}"), mend=RESAVE) from cause
    except RehearsalError as cause:
        raise ModelError(
            f"Checkpoint {path} was refused, and nothing of it ran: {_first_line(cause)}. A damaged file looks "
            "like this; so does an attack.",
            mend=RESAVE,
        ) from cause
    except ArchiveError as cause:
        raise ModelError(
            f"Checkpoint {path} is no archive as torch.save writes it: {_first_line(cause).rstrip('.')}.",
            mend="Copy it again, and compare its sha256. A file that is whole: " + RESAVE,
        ) from cause
    except (OSError, ValueError, LookupError, AttributeError, TypeError, OverflowError) as cause:
        # What pickletools raises on bytes that are no pickle.
        raise ModelError(
            f"Checkpoint {path} does not load as a PyTorch file: {_first_line(cause)}",
            mend="Copy it again, and compare its sha256. A file that is whole: " + RESAVE,
        ) from cause


def _refusal(path: Path, told: str) -> str:
    names = re.findall(r"(?:GLOBAL|global|Unsupported class|Unsupported global:?)\s+`?([\w.]+\.[\w]+)", told)
    names = [name for name in names if not name.startswith("torch.serialization")]
    if names:
        return (
            f"Checkpoint {path} asks for {names[0][:300]} to be loaded, which could run code. It was refused, nothing "
            "ran. A whole pickled model and extra objects beside the weights look like this; so does an attack."
        )
    return f"Checkpoint {path} was refused, and nothing of it ran: {_first_line(told)}"


def _described(found: object) -> str:
    if isinstance(found, dict):
        return "an empty mapping" if not found else "a mapping whose names are not all text"
    return f"a {type(found).__module__}.{type(found).__qualname__}"


def _first_line(error: object) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
