"""What a ChildCamera can be told to open in its child: each is named as `cameras_in_child:Name`."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
from fake_camera import FakeCamera

from emomusic_edge.contracts import Frame
from emomusic_edge.errors import SourceError


class PacedCamera(FakeCamera):
    """The fake camera at 200 frames a second, since a child reads without pause."""

    def __init__(self, frame_s: float = 0.005) -> None:
        super().__init__()
        self._frame_s = frame_s

    def read(self) -> Frame | None:
        time.sleep(self._frame_s)
        return super().read()


class Busy(FakeCamera):
    """The fake camera at 30 frames a second, each of which costs CPU time as decoding does."""

    def __init__(self, cpu_s: float = 0.01) -> None:
        super().__init__()
        self._cpu_s = cpu_s

    def read(self) -> Frame | None:
        until_s = time.thread_time() + self._cpu_s
        while time.thread_time() < until_s:
            pass
        time.sleep(max(1 / 30 - self._cpu_s, 0.0))
        return super().read()


class NotHere(FakeCamera):
    """Never opens."""

    def open(self) -> None:
        raise SourceError("it is not here", mend="plug it in")


class Breaks(PacedCamera):
    """A bug in our own code, of any length of message."""

    def read(self) -> Frame | None:
        raise RuntimeError("x" * 100_000)


class Dies(PacedCamera):
    """Ends by a signal or an exit code in the middle of a read."""

    def __init__(self, how: int) -> None:
        super().__init__()
        self._how = how

    def read(self) -> Frame | None:
        if self._how < 0:
            os.kill(os.getpid(), -self._how)
        os._exit(self._how)


class Deaf(PacedCamera):
    """Hangs in a read and heeds no signal but SIGKILL."""

    def read(self) -> Frame | None:
        for number in range(1, signal.NSIG):
            if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(60.0)


class Huge(PacedCamera):
    """A picture of 4K, or larger."""

    def __init__(self, height_px: int, width_px: int) -> None:
        super().__init__()
        self._make = lambda number: np.full((height_px, width_px, 3), number % 256, np.uint8)
