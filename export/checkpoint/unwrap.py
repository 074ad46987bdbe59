"""Training frameworks wrap a state_dict and its names; here the seed's own names come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from emomusic_edge.errors import ModelError

# fastai's learn.save, Lightning, and what people write by hand.
WRAPPERS = ("model", "state_dict", "model_state_dict", "net", "module")
# Parts of a name that DistributedDataParallel and torch.compile put in, anywhere.
_INSERTED = ("module", "_orig_mod")
# The name by which a regressor is recognised, whatever stands before it.
LANDMARK = "valence_head."
# Wrappers in wrappers; Lightning around a compiled module has two.
_MAX_DEPTH = 8
# No weight of a network has more dimensions.
_MAX_DIMENSIONS = 8


@dataclass(frozen=True, slots=True)
class StateDict:
    """Tensors under the seed's names.

    Attributes:
        tensors: by name; floating ones are float32.
        told: what was unwrapped or left out, a line each, for the report.
    """

    tensors: Mapping[str, Tensor]
    told: tuple[str, ...]


def unwrap(checkpoint: Mapping[str, Any], file_name: str) -> StateDict:
    """Take wrappers and prefixes off.

    Args:
        checkpoint: as read from the file.
        file_name: for messages.

    Raises:
        ModelError: there is no state_dict in it, or more than one model, or values that no model can have.
    """
    told: list[str] = []
    tensors = _innermost(checkpoint, told)
    if tensors is None:
        kinds = ", ".join(f"{name} ({type(value).__name__})" for name, value in list(checkpoint.items())[:6])
        raise ModelError(
            f"Checkpoint {file_name} holds no tensors where they were looked for. Found: {kinds}. "
            f"Expected: tensors by name, or one of {', '.join(WRAPPERS)} around them."
        )
    renamed = _without_inserted_parts(tensors, file_name)
    if renamed.keys() != tensors.keys():
        told.append("names without " + " and ".join(part for part in _INSERTED if any(part in n for n in tensors)))
    renamed = _without_prefix(renamed, file_name, told)
    _refuse_broken_values(renamed, file_name)
    floats = {name: value.to(torch.float32) if value.is_floating_point() else value for name, value in renamed.items()}
    return StateDict(floats, tuple(told))


def _without_inserted_parts(tensors: Mapping[str, Tensor], file_name: str) -> dict[str, Tensor]:
    result: dict[str, Tensor] = {}
    for name, value in tensors.items():
        plain = _without_inserted(name)
        if plain in result:
            raise ModelError(
                f"Checkpoint {file_name} holds {plain} twice, with and without {' or '.join(_INSERTED)} in its name.",
                mend="Save the state_dict of one model.",
            )
        # How many models stochastic weight averaging has averaged.
        if plain != "n_averaged":
            result[plain] = value
    return result


def _innermost(checkpoint: Mapping[str, Any], told: list[str], depth: int = 0) -> dict[str, Tensor] | None:
    # Detached, a tensor has no attributes of its own: a file can set some that stand before the methods.
    here = {
        name: Tensor.detach(value)
        for name, value in checkpoint.items()
        if isinstance(value, Tensor) and isinstance(name, str)
    }
    if any(LANDMARK in name for name in here):
        return here
    for wrapper in WRAPPERS if depth < _MAX_DEPTH else ():
        inside = checkpoint.get(wrapper)
        if isinstance(inside, Mapping) and inside:
            found = _innermost(inside, told, depth + 1)
            if found is not None:
                others = [name for name, value in checkpoint.items() if name != wrapper and _holds_a_regressor(value)]
                beside = f", beside {', '.join(map(repr, others))}, which holds another" if others else ""
                told.insert(0, f"taken out of {wrapper!r}{beside}")
                return found
    return here or None


def _holds_a_regressor(value: object) -> bool:
    return isinstance(value, Mapping) and any(LANDMARK in str(name) for name in value)


def _without_inserted(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _INSERTED)


def _without_prefix(tensors: dict[str, Tensor], file_name: str, told: list[str]) -> dict[str, Tensor]:
    """Lightning keeps the model as an attribute (`model.`, `net.`) beside its losses and metrics."""
    prefixes = sorted({name[: name.index(LANDMARK)] for name in tensors if LANDMARK in name})
    if len(prefixes) > 1:
        named = ", ".join(repr(prefix) for prefix in prefixes)
        raise ModelError(
            f"Checkpoint {file_name} holds {len(prefixes)} regressors, under the prefixes {named}; one was expected "
            "(an averaged copy beside the model looks like this).",
            mend="Save the state_dict of the one that you want.",
        )
    if not prefixes or not prefixes[0]:
        return tensors
    prefix = prefixes[0]
    inside = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    told.append(f"names without {prefix!r}")
    outside = [name for name in tensors if not name.startswith(prefix)]
    if outside:
        told.append(f"{len(outside)} tensors outside {prefix!r} left out: {', '.join(outside[:3])}")
    return inside


def _refuse_broken_values(tensors: Mapping[str, Tensor], file_name: str) -> None:
    odd = [name for name, value in tensors.items() if _is_odd(value)]
    if odd:
        raise ModelError(
            f"Checkpoint {file_name} holds quantised, sparse, complex, empty or absent values ({odd[0]}); plain ones "
            "were expected.",
            mend="Save the plain weights, from before the model was quantised or made sparse.",
        )
    wrong = [
        name
        for name, value in tensors.items()
        if value.is_floating_point() and not bool(torch.isfinite(value.float()).all())
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ModelError(
            f"Checkpoint {file_name} holds values that are NaN or infinite in {', '.join(wrong[:5])}{more}.",
            mend="Training diverged; take an earlier checkpoint.",
        )


def _is_odd(value: Tensor) -> bool:
    unlike = value.is_quantized or value.layout != torch.strided or value.is_complex() or value.is_meta
    return unlike or value.ndim > _MAX_DIMENSIONS or value.numel() == 0
