"""One thread that owns what may be touched by one thread alone; any other hands its work over and waits."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from emomusic_edge.errors import ModelError

T = TypeVar("T")


class _Work(Generic[T]):
    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._value: T | None = None
        self._error: BaseException | None = None
        self.done = threading.Event()

    def run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:  # noqa: BLE001 (it is raised again, in the thread that asked)
            self._error = error
        self.done.set()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


class OwnerThread:
    """Runs one call at a time on its own thread. A daemon: a GPU that hangs must not keep the process from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = threading.Lock()
        self._slot: queue.Queue[_Work[object] | None] = queue.Queue(maxsize=1)
        self._stuck = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def stuck(self) -> bool:
        """True once a call did not come back in time; nothing is handed over from then on."""
        return self._stuck

    def call(self, work: Callable[[], T], timeout_s: float) -> T:
        """Run `work` there and wait for what it returns or raises.

        Raises:
            ModelError: it did not come back in time, now or earlier.
        """
        with self._turn:
            if self._stuck:
                raise ModelError(f"{self._name} does not answer any more.")
            item = _Work(work)
            self._slot.put(item)  # type: ignore[arg-type]
            if not item.done.wait(timeout_s):
                self._stuck = True
                raise ModelError(f"{self._name} did not answer within {timeout_s:g} s.")
            return item.result()

    def end(self, timeout_s: float = 1.0) -> None:
        """Let the thread finish; one that is stuck is left behind."""
        with self._turn:
            if not self._stuck and self._thread.is_alive():
                self._slot.put(None)
                self._thread.join(timeout_s)
            self._stuck = True

    def _serve(self) -> None:
        while True:
            item = self._slot.get()
            if item is None:
                return
            item.run()
            # What it holds (an array, a context) must not live on until the next one comes.
            del item
