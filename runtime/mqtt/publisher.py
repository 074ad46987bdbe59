"""What is told over MQTT and when, and the inbox of what is asked; nothing here waits for the network."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from emomusic_edge.contracts import Command, StateSnapshot

from .broker import BrokerSettings
from .commands import CommandError, parse_command
from .connection import BrokerConnection
from .messages import (
    HEALTH,
    MUSIC,
    RESULT,
    STATE,
    HealthMessage,
    MusicMessage,
    ResultMessage,
    StateMessage,
    TopicRule,
    health_message,
    music_message,
    state_message,
)

_log = logging.getLogger(__name__)

# The loop empties the inbox at each step, ten times a second: what is beyond this is a flood, not a wish.
MAX_WAITING_COMMANDS = 64
_REMEMBERED_REFUSALS = 16

_Told = HealthMessage | StateMessage | MusicMessage


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class MqttPublisher:
    """A contracts.Publisher over a real broker.

    Each topic is told when something in it changed that matters, at most every `min_interval_s`, and at least every
    `repeat_s`. While the broker is away only the newest snapshot is kept; when it is back, that one is told in the
    order availability, health, state, music.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Prepare; nothing is sent before start().

        Args:
            settings: where the broker is.
            clock: monotonic seconds, for the intervals (a snapshot's own time may run faster).
            wall_clock: the time of day with its zone, for the messages.

        Raises:
            BrokerError: the CA file holds no certificate.
        """
        self._settings = settings
        self._clock = clock
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._latest: tuple[StateSnapshot, datetime] | None = None
        self._told: dict[str, tuple[object, float]] = {}
        self._inbox: deque[Command] = deque()
        self._refusals: deque[str] = deque(maxlen=_REMEMBERED_REFUSALS)
        self._connection = BrokerConnection(settings, on_ready=self._ready, on_command=self._heard, clock=clock)

    def start(self) -> None:
        """Begin connecting; returns at once, broker or no broker."""
        self._connection.start()

    def publish(self, snapshot: StateSnapshot) -> None:
        """Tell a state; to be called at every step, also while the camera is closed."""
        self._connection.revive()
        with self._lock:
            self._latest = (snapshot, self._wall_clock())
            if self._connection.ready:
                self._tell()

    def commands(self) -> Sequence[Command]:
        """The valid commands that arrived since the last call, oldest first."""
        with self._lock:
            waiting = tuple(self._inbox)
            self._inbox.clear()
        return waiting

    def rejected(self) -> Sequence[str]:
        """Why commands were refused since the last call, oldest first; each was answered on its result topic."""
        with self._lock:
            refusals = tuple(self._refusals)
            self._refusals.clear()
        return refusals

    def reason(self) -> str:
        """Why nothing gets through; empty when all is well."""
        return self._connection.reason()

    def close(self) -> None:
        """Say goodbye (availability offline) and disconnect, within a second."""
        self._connection.close()

    def _ready(self) -> None:
        with self._lock:
            self._told.clear()
            self._tell()

    def _tell(self) -> None:
        """Send what is due of the newest snapshot; the lock is held."""
        if self._latest is None:
            return
        snapshot, wall_time = self._latest
        now_s = self._clock()
        try:
            self._tell_if_due(HEALTH, health_message(snapshot, wall_time), now_s)
            self._tell_if_due(STATE, state_message(snapshot, wall_time), now_s)
            self._tell_if_due(MUSIC, music_message(snapshot, wall_time), now_s)
        except ValueError:
            # A number that breaks the published schema is a fault of another part; the music goes on.
            _log.exception("the state of frame %d cannot be told", snapshot.seq)

    def _tell_if_due(self, rule: TopicRule, message: _Told, now_s: float) -> None:
        what = _what_matters(message)
        told, told_at_s = self._told.get(rule.name, (None, -float("inf")))
        interval_s = self._settings.repeat_s if what == told else self._settings.min_interval_s
        if now_s - told_at_s < interval_s:
            return
        self._connection.send(rule, message.payload())
        self._told[rule.name] = (what, now_s)

    def _heard(self, name: str, payload: bytes, retained: bool) -> None:
        """A message under cmd/, on the network thread."""
        refusal = ""
        try:
            if retained:
                raise CommandError(f"{name!a}: a command must not be retained; send it again without the retain flag")
            command = parse_command(name, payload)
            with self._lock:
                if len(self._inbox) >= MAX_WAITING_COMMANDS:
                    raise CommandError(f"{name}: {MAX_WAITING_COMMANDS} commands are waiting already")
                self._inbox.append(command)
        except CommandError as error:
            refusal = str(error)
            with self._lock:
                self._refusals.append(refusal)
        result = ResultMessage(at=self._wall_clock(), ok=not refusal, reason=refusal)
        self._connection.send(RESULT, result.payload(), f"cmd/{name}/result")


def _what_matters(message: _Told) -> object:
    """The part of a message whose change is worth telling before `repeat_s` is over."""
    if isinstance(message, HealthMessage):
        # The rate itself drifts while a budget is sought.
        return message.reasons, None if message.pace is None else message.pace.limited_by
    if isinstance(message, MusicMessage):
        song = message.song
        segment = None if song is None else (song.song_id, song.start_s)
        return segment, message.paused, message.muted, message.volume
    # Left out is what drifts from frame to frame though nothing happens: clocks, rates, the third decimal, and the
    # uncertainty, which in a still room rises and falls with the age of what the scene model last said.
    axes = tuple(
        None if axis is None else (round(axis.value, 2), axis.held) for axis in (message.valence, message.arousal)
    )
    seen = (message.face.present, message.face.count, message.sources)
    return axes, seen, message.mood, message.stale, message.mode, message.camera_on


class NullPublisher:
    """A contracts.Publisher for `--no-mqtt`: tells nobody and hears nothing."""

    def start(self) -> None:
        """Nothing to start."""

    def publish(self, snapshot: StateSnapshot) -> None:
        """Told to nobody."""

    def commands(self) -> Sequence[Command]:
        """None ever arrive."""
        return ()

    def rejected(self) -> Sequence[str]:
        """None ever arrive."""
        return ()

    def reason(self) -> str:
        """Empty: being off is what was asked for."""
        return ""

    def close(self) -> None:
        """Nothing to close."""
