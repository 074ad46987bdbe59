"""The SoundSink of tests: a device that plays when a test takes from it, faster than any real one, and keeps all."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.errors import AudioError


class OfflineSink:
    """Obeys the contract test of SoundSink.

    Attributes:
        present: whether a device answers.
    """

    def __init__(self) -> None:
        self.present = True
        self._changed = threading.Condition()
        self._queue = np.zeros((0, 2), np.int16)
        self._opened = False

    def take(self, frames: int) -> NDArray[np.int16]:
        """What the device plays next; waits for it to be queued."""
        parts = []
        while frames > 0:
            with self._changed:
                assert self._changed.wait_for(lambda: len(self._queue) > 0, 20.0), "nothing is queued"
                parts.append(self._queue[:frames])
                self._queue = self._queue[frames:]
                self._changed.notify_all()
            frames -= len(parts[-1])
        return np.concatenate(parts)

    def wait_queued(self, frames: int) -> None:
        """Wait until so much is queued, as a slow device would find it."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._queue) >= frames, 20.0), f"{len(self._queue)} are queued"

    def open(self) -> None:
        if not self.present:
            self._opened = False
            raise AudioError("no audio device answers: unplugged", mend="plug it in")
        with self._changed:
            self._queue = np.zeros((0, 2), np.int16)
            self._opened = True

    def write(self, samples: NDArray[np.int16]) -> None:
        if not self.alive():
            raise AudioError("the audio device takes no sound: unplugged")
        with self._changed:
            self._queue = np.concatenate([self._queue, samples])
            self._changed.notify_all()

    def queued(self) -> int:
        with self._changed:
            return len(self._queue)

    def replace_last(self, samples: NDArray[np.int16]) -> bool:
        with self._changed:
            if not self._opened or len(samples) > len(self._queue):
                return False
            self._queue = np.concatenate([self._queue[: len(self._queue) - len(samples)], samples])
            return True

    def wait_for_room(self, frames: int, timeout_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._queue) <= frames or not self._opened, timeout_s)

    def alive(self) -> bool:
        return self._opened and self.present

    def close(self) -> None:
        with self._changed:
            self._opened = False
            self._changed.notify_all()
