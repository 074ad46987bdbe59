"""What was asked and is not done yet: bounded, at a bounded rate, each wish once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from emomusic_edge.contracts import Command

from .commands import CommandError, parse_command
from .line import Received

# The loop empties the inbox at each step, ten times a second: what is beyond this is a flood, not a wish.
MAX_WAITING_COMMANDS = 64
_REMEMBERED_REFUSALS = 16
# More than a broker has on the way to us at once (mosquitto: 20), so that each one sent twice is known again.
_REMEMBERED_PACKETS = 64


@dataclass(frozen=True, slots=True)
class CommandRate:
    """How many commands are taken: a token bucket.

    Attributes:
        per_s: in the long run.
        burst: at once, after a quiet time; a scene of a smart home sends a few together.
    """

    per_s: float = 5.0
    burst: int = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a command.

    Attributes:
        refusal: why it was not taken, in one line; empty when it was, now or before its receipt was lost.
        too_fast: whether it was refused unread, for its rate alone.
    """

    refusal: str = ""
    too_fast: bool = False


class Inbox:
    """Filled on the network thread, emptied by the loop."""

    def __init__(self, rate: CommandRate) -> None:
        """Begin empty, with a full bucket."""
        self._rate = rate
        self._lock = threading.Lock()
        self._waiting: deque[Command] = deque()
        self._refusals: deque[str] = deque(maxlen=_REMEMBERED_REFUSALS)
        self._packets: deque[tuple[int, str, bytes]] = deque(maxlen=_REMEMBERED_PACKETS)
        self._tokens = float(rate.burst)
        self._filled_at_s: float | None = None

    def take(self, name: str, message: Received, now_s: float) -> Verdict:
        """Take a command in, or say why not.

        Args:
            name: the command, e.g. `volume`.
            message: what came.
            now_s: monotonic seconds.
        """
        with self._lock:
            packet = (message.packet_id, message.topic, message.payload)
            if message.duplicate and packet in self._packets:
                return Verdict()
            if not self._may(now_s):
                # Not read at all: what comes too fast must cost as little as can be.
                refusal = f"more than {self._rate.per_s:g} commands a second; wait a moment and send it again"
                self._refusals.append(refusal)
                return Verdict(refusal, too_fast=True)
            try:
                self._waiting.append(self._read(name, message))
            except CommandError as error:
                self._refusals.append(str(error))
                return Verdict(str(error))
            if message.packet_id:
                self._packets.append(packet)
            return Verdict()

    def new_session(self) -> None:
        """The broker knows nothing of the session before: it counts its packets anew."""
        with self._lock:
            self._packets.clear()

    def commands(self) -> Sequence[Command]:
        """What was taken since the last call, oldest first."""
        with self._lock:
            waiting = tuple(self._waiting)
            self._waiting.clear()
        return waiting

    def rejected(self) -> Sequence[str]:
        """Why commands were refused since the last call, oldest first; of many the last few."""
        with self._lock:
            refusals = tuple(self._refusals)
            self._refusals.clear()
        return refusals

    def _read(self, name: str, message: Received) -> Command:
        if message.retained:
            raise CommandError(f"{name!a}: a command must not be retained; send it again without the retain flag")
        command = parse_command(name, message.payload)
        if len(self._waiting) >= MAX_WAITING_COMMANDS:
            raise CommandError(f"{name}: {MAX_WAITING_COMMANDS} commands are waiting already")
        return command

    def _may(self, now_s: float) -> bool:
        """Take a token, if there is one."""
        if self._filled_at_s is not None:
            self._tokens = min(self._rate.burst, self._tokens + (now_s - self._filled_at_s) * self._rate.per_s)
        self._filled_at_s = now_s
        # Sums of tenths come out a hair short.
        if self._tokens < 1.0 - 1e-9:
            return False
        self._tokens -= 1.0
        return True
