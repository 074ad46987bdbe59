"""What is told over MQTT and when, and the inbox of what is asked; nothing here waits for the network."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from pydantic import ValidationError

from emomusic_edge.contracts import Command, Forget, Pause, StateSnapshot
from emomusic_edge.runtime.seldom_log import SeldomLog

from .broker import BrokerSettings
from .connection import BrokerConnection
from .extension import Extension
from .identity import Identity
from .inbox import CommandRate, Inbox
from .line import Outgoing, Received, Subscription
from .messages import (
    AVAILABILITY,
    COMMAND,
    HEALTH,
    MUSIC,
    OFFLINE,
    ONLINE,
    RESULT,
    STATE,
    DeviceFacts,
    HealthMessage,
    LineNow,
    MusicMessage,
    ResultMessage,
    StateMessage,
    TopicRule,
    health_message,
    music_message,
    state_message,
)
from .what_matters import what_matters

_log = logging.getLogger(__name__)

# What a feeling can be read from, and what tells of the device: never retained, by us at least.
_NEVER_KEPT = (STATE, MUSIC, HEALTH)
MAX_TOPIC_BYTES = 256
"""Of a response topic."""
MAX_CORRELATION_BYTES = 1024
"""A command's correlation data up to this comes back with its answer. Programs send a number or a UUID."""
_HEAL_INTERVAL_S = 1.0

_Told = HealthMessage | StateMessage | MusicMessage


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class MqttPublisher:
    """A contracts.Publisher over a real broker.

    Each topic is told when something in it changed that matters, at most every `min_interval_s`, and at least every
    `repeat_s`. While the broker is away only the newest snapshot is kept; when it is back, that one is told in the
    order discovery (by an extension), availability, health, state, music.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        facts: DeviceFacts | None = None,
        *,
        extensions: Sequence[Extension] = (),
        rate: CommandRate = CommandRate(),  # noqa: B008 (frozen)
        on_twin: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Prepare; nothing is sent before start().

        Args:
            settings: where the broker is.
            facts: of the device, for `health`.
            extensions: what speaks over the same line.
            rate: how many commands are taken.
            on_twin: called once, on the network thread, with the reason, when another run with this node's name runs
                longer: this one is to stop.
            clock: monotonic seconds, for the intervals (a snapshot's own time may run faster).
            wall_clock: the time of day with its zone, for the messages.

        Raises:
            BrokerError: a file of the TLS settings is of no use.
        """
        self._settings = settings
        self._facts = facts
        self._extensions = tuple(extensions)
        self._clock = clock
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._latest: tuple[StateSnapshot, datetime] | None = None
        self._told: dict[str, tuple[object, float]] = {}
        self._inbox = Inbox(rate)
        self._health_made_at_s = -float("inf")
        self._healed_at_s = -float("inf")
        self._heal = False
        self._seldom = SeldomLog(_log, clock=clock)
        run = secrets.token_hex(4)
        self._identity = Identity(settings, run, clock, on_twin)
        self._connection = BrokerConnection(
            settings,
            client_id=f"emomusic-{settings.node}-{run}",
            subscriptions=[*self._subscriptions(), *(s for one in extensions for s in one.subscriptions())],
            on_ready=self._ready,
            will=self._availability(OFFLINE),
            clock=clock,
        )

    def _availability(self, word: str) -> Outgoing:
        return Outgoing(self._settings.topic(AVAILABILITY.name), word, AVAILABILITY.qos, AVAILABILITY.retained)

    def _subscriptions(self) -> list[Subscription]:
        topic = self._settings.topic
        return [
            # A command that the broker kept is an old wish.
            Subscription(topic("cmd/+"), self._asked, COMMAND.qos, kept=False),
            Subscription(topic(AVAILABILITY.name), self._availability_heard),
            self._identity.subscription(),
            *(Subscription(topic(rule.name), self._kept_heard) for rule in _NEVER_KEPT),
        ]

    def start(self) -> None:
        """Begin connecting; returns at once, broker or no broker."""
        self._connection.start()

    def publish(self, snapshot: StateSnapshot) -> None:
        """Tell a state; to be called at every step, also while the camera is closed."""
        self._connection.revive()
        with self._lock:
            self._latest = (snapshot, self._wall_clock())
            if not self._connection.ready:
                return
            now_s = self._clock()
            # All of them are asked, whatever the first one says.
            anew = [one.step(snapshot, now_s, self._connection) for one in self._extensions]
            if any(anew):
                self._greet()
            else:
                self._tell()
            if self._heal and now_s - self._healed_at_s >= _HEAL_INTERVAL_S:
                self._heal, self._healed_at_s = False, now_s
                self._tell_online()
        self._identity.step(self._connection)

    def commands(self) -> Sequence[Command]:
        """The valid commands that arrived since the last call, oldest first."""
        commands = self._inbox.commands()
        if any(isinstance(command, (Pause, Forget)) for command in commands):
            # Nothing of ours is retained; what somebody else had kept under our topics is found and cleared.
            self._connection.ask_kept()
        return commands

    def rejected(self) -> Sequence[str]:
        """Why commands were refused since the last call, oldest first; each was answered on its result topic."""
        return self._inbox.rejected()

    def reason(self) -> str:
        """Why nothing gets through; empty when all is well."""
        line = self._identity.twin or self._connection.reason() or self._identity.unheard
        return line or next((one.reason for one in self._extensions if one.reason), "")

    @property
    def silent_s(self) -> float:
        """See Publisher.silent_s."""
        return self._connection.silent_s

    def close(self) -> None:
        """Say goodbye (availability offline) and disconnect, within a second."""
        if self._connection.ready:
            for one in self._extensions:
                one.leaving(self._connection)
        # Whoever gives way to a twin must not tell that the node is offline.
        self._connection.close(None if self._identity.twin else self._availability(OFFLINE))

    def _ready(self) -> None:
        if not self._connection.session_kept:
            self._inbox.new_session()
        with self._lock:
            self._greet()
        self._identity.connected(self._connection)

    def _greet(self) -> None:
        """Tell everything, as to somebody who knows nothing yet; the lock is held."""
        for one in self._extensions:
            one.before_online(self._connection)
        self._tell_online()
        self._told.clear()
        self._health_made_at_s = -float("inf")
        self._tell()

    def _tell_online(self) -> None:
        self._connection.send(self._availability(ONLINE))

    def _tell(self) -> None:
        """Send what is due of the newest snapshot; the lock is held."""
        if self._latest is None:
            return
        snapshot, wall_time = self._latest
        now_s = self._clock()
        # It changes seldom and costs the most to make, so it is looked at no oftener than it may be told.
        if now_s - self._health_made_at_s >= self._settings.min_interval_s:
            self._health_made_at_s = now_s
            self._tell_if_due(HEALTH, lambda: self._health(snapshot, wall_time))
        self._tell_if_due(STATE, lambda: state_message(snapshot, wall_time))
        self._tell_if_due(MUSIC, lambda: music_message(snapshot, wall_time))

    def _health(self, snapshot: StateSnapshot, wall_time: datetime) -> HealthMessage:
        line = LineNow(self._identity.uptime_s, self.reason())
        return health_message(snapshot, wall_time, self._facts, line)

    def _tell_if_due(self, rule: TopicRule, make: Callable[[], _Told]) -> None:
        now_s = self._clock()
        told, told_at_s = self._told.get(rule.name, (None, -float("inf")))
        # Whatever it said, its time would not have come.
        if now_s - told_at_s < self._settings.min_interval_s:
            return
        try:
            message = make()
        except ValueError as error:
            # A number that breaks the published schema is a fault of another part; the music goes on, and so do the
            # other topics. Which number is not told: it may be a feeling.
            field = "a value"
            if isinstance(error, ValidationError):
                field = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))
            self._seldom.warning(rule.name, f"{rule.name} cannot be told: {field} breaks its schema")
            return
        what = what_matters(message)
        interval_s = self._settings.repeat_s if what == told else self._settings.min_interval_s
        if now_s - told_at_s < interval_s:
            return
        # The first one after connecting has a receipt: so a broker that takes it not is found out.
        qos = rule.qos if rule.name in self._told else 1
        topic = self._settings.topic(rule.name)
        if self._connection.send(Outgoing(topic, message.payload(), qos, expires_s=rule.expiry_s)):
            self._told[rule.name] = (what, now_s)

    # From here on, the network thread.

    def _asked(self, message: Received) -> None:
        """A message under cmd/."""
        if message.retained and not message.payload:
            return  # somebody clears what was retained
        name = message.topic.rsplit("/", 1)[-1]
        verdict = self._inbox.take(name, message, self._clock())
        if message.retained:
            # It would come back at every restart of a broker that keeps it.
            self._connection.send(Outgoing(message.topic, b"", 1, retained=True))
        result = ResultMessage(at=self._wall_clock(), ok=not verdict.refusal, reason=verdict.refusal)
        topic, correlation = self._settings.topic(f"cmd/{name}/result"), message.correlation
        if self._may_answer_on(message.response_topic):
            topic = message.response_topic
        if correlation is not None and len(correlation) > MAX_CORRELATION_BYTES:
            correlation = None
        # Answers to a flood wait for no receipts: the queue of those would overflow. With QoS 0 they leave on the line
        # before the receipts of their commands, and so hold the flood back.
        qos = 0 if verdict.too_fast else RESULT.qos
        self._connection.send(Outgoing(topic, result.payload(), qos, correlation=correlation))

    def _may_answer_on(self, topic: str) -> bool:
        """Whether an answer may go there: a topic of this node's, ending in `result`.

        Who may send us commands must not have us speak where they may not: to a lamp, or in another device's name.
        """
        own = self._settings.topic("")
        if len(topic.encode("utf-8", "replace")) > MAX_TOPIC_BYTES or any(sign in topic for sign in "+#\0"):
            return False
        return topic.startswith(own) and topic.endswith("/result")

    def _availability_heard(self, message: Received) -> None:
        """Ours, told by another: the late will of a run that was killed, or a twin that left. Set right by the loop."""
        if message.payload != ONLINE.encode() and not self._identity.twin:
            self._heal = True

    def _kept_heard(self, message: Received) -> None:
        """What somebody had the broker keep under a topic of ours whose feelings are never kept."""
        if message.retained and message.payload:
            self._seldom.warning("retained", f"{message.topic} was retained by another program; it is cleared")
            self._connection.send(Outgoing(message.topic, b"", 1, retained=True))
