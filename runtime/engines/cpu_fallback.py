"""A model whose GPU is lost while it runs: opened anew on the CPU, aside, while the music plays on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import InferenceEngine
from emomusic_edge.errors import EmomusicError, ModelError
from emomusic_edge.runtime.daemon import lives, started

_log = logging.getLogger(__name__)

FAILURES = 3
"""In a row, before the CPU is asked: a GPU may be short of memory for one picture. After most errors of CUDA each call
of the process fails for good (CUDA's cudaErrorLaunchFailure: "the process must be terminated and relaunched")."""


class CpuFallback:
    """Implements contracts.InferenceEngine over an engine on a GPU.

    Args:
        engine: it.
        name: of the model, for messages.
        open_on_cpu: opens the same model on the CPU; raises EmomusicError. Called on a thread of its own.
    """

    def __init__(self, engine: InferenceEngine, name: str, open_on_cpu: Callable[[], InferenceEngine]) -> None:
        self._engine = engine
        self._name = name
        self._open_on_cpu = open_on_cpu
        self._in_a_row = 0
        self._fallen = False
        self._opening: threading.Thread | None = None

    @property
    def provider(self) -> str:
        """See InferenceEngine.provider; another one once the GPU is lost."""
        return self._engine.provider

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> Mapping[str, NDArray[np.generic]]:
        """See InferenceEngine.run. Until the CPU has the model it raises what the GPU's engine raises."""
        try:
            outputs = self._engine.run(inputs)
        except ModelError as error:
            self._failed(str(error))
            raise
        self._in_a_row = 0
        return outputs

    def _failed(self, reason: str) -> None:
        self._in_a_row += 1
        if self._in_a_row >= FAILURES and not self._fallen and not lives(self._opening):
            self._in_a_row = 0
            self._opening = started(lambda: self._fall(reason), f"load {self._name}")

    def _fall(self, reason: str) -> None:
        before = self._engine.provider
        try:
            self._engine = self._open_on_cpu()
        except EmomusicError as error:
            _log.warning("%s does not load on the CPU either: %s", self._name, error)
            return
        self._fallen = True
        _log.warning("%s runs on the CPU from now on, for %s failed: %s", self._name, before, reason)
