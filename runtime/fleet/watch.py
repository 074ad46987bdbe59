"""A line to the broker that listens to all devices, and asks something of many."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from emomusic_edge.errors import BrokerError
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.connection import BrokerConnection
from emomusic_edge.runtime.mqtt.line import Outgoing, Received, Subscription

from .errand import Errand
from .roster import Roster

_LOOK_EVERY_S = 0.05
_CONNECT_WITHIN_S = 5.0


class FleetWatch:
    """Keeps a roster of the devices up to date from `start()` to `close()`; a context manager."""

    def __init__(
        self, settings: BrokerSettings, *, readings: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare; nothing is sent before start().

        Args:
            settings: where the broker is; `node` plays no part, this is no device.
            readings: whether to listen to what the devices tell of themselves. Who only wants answers is better off
                without: to a listener that falls behind, the broker drops messages, answers among them.
            clock: monotonic seconds.

        Raises:
            BrokerError: a file of the TLS settings is of no use.
        """
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._roster = Roster()
        self._errand: Errand | None = None
        topics = ("availability", "health", "state", "music", "claim") if readings else ("availability",)
        self._connection = BrokerConnection(
            settings,
            client_id=f"emomusic-fleet-{secrets.token_hex(4)}",
            subscriptions=[
                *(Subscription(f"emomusic/+/{topic}", self._heard, qos=0) for topic in topics),
                Subscription("emomusic/+/cmd/+/result", self._answered),
            ],
            on_ready=lambda: None,
            clock=clock,
        )

    def __enter__(self) -> FleetWatch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Connect.

        Raises:
            BrokerError: the broker cannot be reached, or does not let us in, for five seconds.
        """
        self._connection.start()
        if not self.wait(lambda: self._connection.ready, _CONNECT_WITHIN_S):
            reason = self._connection.reason()
            self.close()
            raise BrokerError(
                f"{reason[:1].upper()}{reason[1:]}.",
                mend="Name the broker with --host and --port, or set it in the section [mqtt] of the config.",
            )

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    @property
    def where(self) -> str:
        """The broker's address."""
        return self._settings.where

    def trouble(self) -> str:
        """Why nothing comes from the broker; empty when all is well."""
        self._connection.revive()
        return self._connection.reason()

    @contextmanager
    def roster(self) -> Iterator[tuple[Roster, float]]:
        """The roster, which stands still meanwhile, and the time on its clock."""
        with self._lock:
            yield self._roster, self._clock()

    def wait(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds, at most so long.

        Returns:
            Whether it holds.
        """
        end_s = self._clock() + seconds
        while not true():
            if self._clock() >= end_s:
                return False
            time.sleep(_LOOK_EVERY_S)
        return True

    def wait_settled(self, seconds: float) -> None:
        """Wait until all that the broker keeps has come, at most so long."""
        self.wait(lambda: self._of_roster(Roster.settled), seconds)

    def wait_complete(self, seconds: float) -> None:
        """Wait until each device that is online has told everything, at most so long."""
        self.wait(lambda: self._of_roster(Roster.complete), seconds)

    def wait_known(self, names: Sequence[str], seconds: float) -> None:
        """Wait until all of these have told whether they are online, at most so long."""

        def known(roster: Roster, _now_s: float) -> bool:
            return set(names) <= {node.name for node in roster.nodes() if node.online is not None}

        self.wait(lambda: self._of_roster(known), seconds)

    def ask(self, nodes: Sequence[str], command: str, payload: bytes, wait_s: float) -> Errand:
        """Send a command to devices and wait for their answers.

        A device that is offline, or that the broker does not know, is not asked.

        Args:
            nodes: their names; none stands for all that are known.
            command: its name, e.g. `pause`.
            payload: as emomusic_edge.runtime.mqtt.commands.parse_command takes it.
            wait_s: how long to wait; the broker delivers no command that is older (MQTT 5).
        """
        errand = Errand(command, by_topic=self._settings.protocol != "5")
        with self._lock:
            standing = {node.name: node.online for node in self._roster.nodes()}
            self._errand = errand
        asked = []
        for name in nodes or standing:
            if standing.get(name):
                asked.append(name)
            else:
                errand.pass_over(name, "offline" if standing.get(name) is False else "unknown")
        end_s = self._clock() + wait_s
        for name in asked:
            self._ask(errand, name, command, payload, end_s)
        self.wait(lambda: self._waits(errand) == 0, max(end_s - self._clock(), 0.0))
        with self._lock:
            self._errand = None
        return errand

    def _ask(self, errand: Errand, node: str, command: str, payload: bytes, end_s: float) -> None:
        topic = f"emomusic/{node}/cmd/{command}"
        correlation = secrets.token_bytes(8)
        with self._lock:
            errand.ask(node, correlation, self._clock())
        while self._clock() < end_s:
            expires_s = max(round(end_s - self._clock()), 1)
            # On the device's own topic: a broker that keeps devices apart lets it answer nowhere else.
            answer_on = f"{topic}/result"
            asked = Outgoing(topic, payload, 1, expires_s=expires_s, response_topic=answer_on, correlation=correlation)
            if self._connection.send(asked):
                return
            # The line takes only so much at once.
            time.sleep(_LOOK_EVERY_S)

    def _of_roster(self, question: Callable[[Roster, float], bool]) -> bool:
        with self._lock:
            return question(self._roster, self._clock())

    def _waits(self, errand: Errand) -> int:
        with self._lock:
            return errand.waits

    # From here on, the network thread.

    def _heard(self, received: Received) -> None:
        with self._lock:
            self._roster.hear(received, self._clock())

    def _answered(self, received: Received) -> None:
        with self._lock:
            if self._errand is not None:
                self._errand.hear(received, self._clock())
