"""The one fake at the camera seam: it gives made pictures, and can fail, hang and be unplugged."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import numpy as np

from emomusic_edge.contracts import Frame, Image
from emomusic_edge.errors import SourceError


def picture(number: int, height_px: int = 48, width_px: int = 64) -> Image:
    """A picture that tells its number: every pixel of it is number % 256."""
    return np.full((height_px, width_px, 3), number % 256, np.uint8)


class FakeCamera:
    """A live source. By default it gives a frame whenever it is asked; with `on_demand` only after `shoot()`.

    Attributes:
        opens: how often it was opened with success.
        is_open: whether the device is taken now.
        threads: the threads that touched it.
    """

    live = True
    name = "/dev/video-fake"

    def __init__(
        self,
        *,
        make: Callable[[int], Image] = picture,
        on_demand: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.opens = 0
        self.is_open = False
        self.threads: set[int] = set()
        self._make = make
        self._clock = clock
        self._numbers = itertools.count()
        self._shots = threading.Semaphore(0)
        self._on_demand = on_demand
        self._plugged = True
        self._failures = 0
        self._hanging = threading.Event()
        self._free = threading.Event()
        self._free.set()

    def shoot(self, count: int = 1) -> None:
        """Let an on-demand camera give that many more frames."""
        self._shots.release(count)

    def unplug(self) -> None:
        """From now on reading and opening fail."""
        self._plugged = False
        self._shots.release()

    def plug_in(self) -> None:
        """Opening works again."""
        self._plugged = True

    def fail(self, times: int = 1) -> None:
        """The next reads fail, though the device stays."""
        self._failures = times

    def hang(self) -> threading.Event:
        """From now on reads block; the event tells when one does. `release()` frees them."""
        self._free.clear()
        return self._hanging

    def release(self) -> None:
        """End the hang."""
        self._free.set()

    def open(self) -> None:
        self.threads.add(threading.get_ident())
        if not self._plugged:
            raise SourceError(f"{self.name} is not there.", mend="plug it in")
        self.opens += 1
        self.is_open = True

    def read(self) -> Frame | None:
        self.threads.add(threading.get_ident())
        if not self.is_open:
            raise SourceError(f"{self.name} is not open.")
        if not self._free.is_set():
            self._hanging.set()
            self._free.wait()
        if self._on_demand:
            self._shots.acquire()
        if self._failures or not self._plugged:
            self._failures = max(self._failures - 1, 0)
            raise SourceError(f"{self.name} gives no picture.", mend="check the cable")
        number = next(self._numbers)
        return Frame(seq=number, captured_at_s=self._clock(), image=self._make(number))

    def close(self) -> None:
        self.is_open = False
