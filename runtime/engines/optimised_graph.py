"""Optimises a model's graph once and keeps what came of it, if it answers as the model itself does.

It shortens the start of a run; no inference gets faster, for the graph is the one that ONNX Runtime would run anyway.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.graph_store import GraphKey, GraphStore
from emomusic_edge.model_file import ModelFile

# The kernels are the same ones; only the order in which threads add may differ.
_MOST_DIFFERENCE = 1e-4
# For axes without a size of their own, such as the rows of masks.
_ROWS = 3
# Models load side by side, but several large ones that are being optimised at once, each with the graph that is to be
# saved, are more than a small device may have.
_KEEPING = threading.Lock()

_log = logging.getLogger(__name__)


class Opener(Protocol):
    """Opens a session of ONNX Runtime's."""

    def __call__(self, model: str | bytes, *, optimise: bool, save_to: Path | None = None) -> Any:
        """A session.

        Args:
            model: the name of a model's file, or its content.
            optimise: False runs the graph as it is.
            save_to: where to write the optimised graph.
        """
        ...


def open_kept(model: ModelFile, bundle: str, key: GraphKey, store: GraphStore, opener: Opener) -> Any | None:
    """A session on the kept graph of a model, which is made and kept first if need be; None when there is no such way.

    Args:
        model: the bundle's.
        bundle: its name.
        key: what the graph is bound to.
        store: where graphs lie.
        opener: opens a session.
    """
    session = _open(model, bundle, key, store, opener)
    if session is not None or store.is_refused(bundle, key):
        return session
    with _KEEPING:
        # Another thread may have kept or refused it while this one waited.
        session = _open(model, bundle, key, store, opener)
        if session is None and not store.is_refused(bundle, key) and _keep(model, bundle, key, store, opener):
            session = _open(model, bundle, key, store, opener)
    return session


def _open(model: ModelFile, bundle: str, key: GraphKey, store: GraphStore, opener: Opener) -> Any | None:
    kept = store.find(bundle, key)
    if kept is None:
        return None
    try:
        # A bundle that was altered is refused, though its model is not what would be run.
        if not kept.is_of(model):
            # Before it is hashed: what is written to it from now on shows.
            stamp = model.stamp()
            model.check()
            # Where the cache cannot be written, the next start hashes it again.
            with contextlib.suppress(OSError):
                store.stamp_anew(kept, stamp)
        with kept.file.opened_in_place() as graph:
            return opener(graph, optimise=False)
    except Exception as error:  # noqa: BLE001 (whatever is wrong with a cache, the model itself is still there)
        _log.debug("the kept graph of %s is passed over: %s", bundle, error)
        return None


def _keep(model: ModelFile, bundle: str, key: GraphKey, store: GraphStore, opener: Opener) -> bool:
    """Optimise a model and keep the graph; False when it cannot be kept, or answers otherwise than the model."""
    try:
        with store.writing(bundle, key, model) as graph:
            with model.opened() as content:
                answers = _answers(opener(content, optimise=True, save_to=graph))
            # One after the other: two sessions of a large model at once are more than a small device may have.
            if not _alike(answers, _answers(opener(str(graph), optimise=False))):
                raise _AnswersOtherwiseError
    except _AnswersOtherwiseError:
        _log.info("the optimised graph of %s answers otherwise than its model and is not kept", bundle)
        with contextlib.suppress(Exception):
            store.refuse(bundle, key, model)
        return False
    except Exception as error:  # noqa: BLE001 (as above; the model's own fault is told when it is opened by itself)
        _log.debug("the optimised graph of %s is not kept: %s", bundle, error)
        return False
    return True


def _answers(session: Any) -> list[NDArray[np.generic]]:
    random = np.random.default_rng(0)
    inputs: dict[str, NDArray[np.generic]] = {}
    for wanted in session.get_inputs():
        shape = [size if isinstance(size, int) else _ROWS for size in wanted.shape]
        if wanted.type == "tensor(uint8)":
            inputs[wanted.name] = random.integers(0, 256, shape, np.uint8)
        else:
            inputs[wanted.name] = random.random(shape, np.float32)
    return [np.asarray(values) for values in session.run(None, inputs)]


def _alike(answers: list[NDArray[np.generic]], kept: list[NDArray[np.generic]]) -> bool:
    return [one.shape for one in answers] == [other.shape for other in kept] and all(
        np.allclose(one, other, rtol=_MOST_DIFFERENCE, atol=_MOST_DIFFERENCE, equal_nan=True)
        for one, other in zip(answers, kept, strict=True)
    )


class _AnswersOtherwiseError(Exception):
    """Nothing of the graph is kept, as with any other error, only that it was made."""
