"""The broker: its name, its port, its certificate, the login, and whether what is said there is also heard."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from emomusic_edge.errors import EmomusicError
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.connection import BrokerConnection
from emomusic_edge.runtime.mqtt.line import Outgoing, Received, Subscription

from .certificate import days_left, read_certificate
from .finding import About, Finding
from .processes import runs
from .setup import Setup

TOPIC = "doctor"
"""Under the node, beside its own topics; what is said there is never kept, and nobody listens."""

_CONNECT_S = 15.0
# What comes back from a broker in the house takes milliseconds; this is for one behind a slow line.
_ECHO_S = 5.0
_POLL_S = 0.05
_RENEW_DAYS = 14

_about = About("broker")


def look(
    setup: Setup, *, connect_s: float = _CONNECT_S, echo_s: float = _ECHO_S, running: Callable[[], bool] | None = None
) -> Iterator[Finding]:
    """Ask for it step by step, as a run would, and end at the first step that fails.

    Nothing is kept on the broker, no claim is made to the node's name, and no command is answered: a run of the same
    name notices nothing.

    Args:
        setup: where it is.
        connect_s: how long to wait for the login.
        echo_s: how long to wait for what was said to come back.
        running: whether this program runs on this machine; None looks.
    """
    mqtt = setup.settings.mqtt
    if not mqtt.enabled:
        yield _about.ok("settings", "switched off (mqtt.enabled = false)")
        return
    try:
        settings = BrokerSettings.of(mqtt)
        visit = Visit(settings)
    except EmomusicError as error:
        yield _about.problem(
            "settings", str(error).rstrip("."), meaning="No run starts with these settings.", mend=error.mend
        )
        return
    if not settings.stays_here:
        found = _name(settings)
        yield found
        if found.mend:
            return
    if settings.encrypted and (certificate := _certificate(settings)) is not None:
        yield certificate
    try:
        reason = visit.connect(connect_s)
        if reason:
            yield _not_reached(setup, reason)
            return
        yield _login(settings)
        yield _round_trip(settings, visit, echo_s)
        yield from _others(settings, visit, bool(runs()) if running is None else running())
    finally:
        visit.leave()


@dataclass
class Visit:
    """A short stay at the broker under a name of its own.

    Attributes:
        settings: where.
        node_online: what the broker has kept of the node's availability; None for nothing.
    """

    settings: BrokerSettings
    node_online: bool | None = None
    _came_back: threading.Event = field(default_factory=threading.Event)
    _word: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        topic = self.settings.topic
        self._connection = BrokerConnection(
            self.settings,
            client_id=f"emomusic-{self.settings.node}-doctor-{secrets.token_hex(4)}",
            subscriptions=[
                Subscription(topic(TOPIC), self._heard, kept=False, own=True),
                Subscription(topic("availability"), self._availability),
            ],
            on_ready=lambda: None,
        )
        self._at_first = self._connection.reason()

    def connect(self, within_s: float) -> str:
        """Log in; the reason why that failed, empty when it did not."""
        self._connection.start()
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            if self._connection.ready:
                return ""
            if self._connection.reason() not in ("", self._at_first):
                break
            time.sleep(_POLL_S)
        return self._connection.reason() or f"broker {self.settings.where} does not answer"

    def echo(self, within_s: float) -> str:
        """Say a word and wait for it; why it did not come back, empty when it did."""
        word = Outgoing(self.settings.topic(TOPIC), self._word, 1, expires_s=int(within_s) + 1)
        self._connection.send(word)
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            if self._came_back.wait(_POLL_S):
                return ""
            if self._connection.reason():
                return self._connection.reason()
        return f"broker {self.settings.where} does not pass on what is said on {self.settings.topic(TOPIC)}"

    def leave(self) -> None:
        """Disconnect; nobody is told."""
        self._connection.close()

    def _heard(self, message: Received) -> None:
        if message.payload == self._word.encode():
            self._came_back.set()

    def _availability(self, message: Received) -> None:
        self.node_online = message.payload == b"online"


def _name(settings: BrokerSettings) -> Finding:
    """Whether the host name leads anywhere."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except OSError as cause:
        return _about.problem(
            "name",
            f"no address is known for {settings.host} ({cause.strerror or cause})",
            meaning="The smart home hears nothing from this device, and the device nothing from it.",
            mend=f"Write the broker's address into mqtt.host, or see what `getent hosts {settings.host}` says",
        )
    addresses = sorted({str(address[4][0]) for address in found})
    return _about.ok("name", f"{settings.host} is {', '.join(addresses)}", addresses=addresses)


def _certificate(settings: BrokerSettings) -> Finding | None:
    """How long the certificate still holds; None where the handshake fails, which the login then tells in full."""
    found = read_certificate(settings)
    if found is None:
        return None
    days = days_left(found.not_after, time.time())
    shown = f"{found.protocol}; the certificate is for this name and holds for {days} more days"
    if days < _RENEW_DAYS:
        return _about.warning(
            "certificate",
            shown,
            meaning="After that this device no longer talks to the broker.",
            mend="Renew it on the broker; if its CA changes with it, mqtt.ca_file here too",
            days_left=days,
            protocol=found.protocol,
        )
    return _about.ok("certificate", shown, days_left=days, protocol=found.protocol)


def _not_reached(setup: Setup, reason: str) -> Finding:
    found, mend = _parted(reason)
    unset = not any(key.startswith("mqtt.") for key in setup.origins)
    if unset and "does not answer" in reason:
        return _about.warning(
            "login",
            found,
            meaning="There seems to be no broker on this machine, and the config names no other. Music plays without.",
            mend="Set mqtt.host to your broker, or mqtt.enabled = false, or `sudo apt-get install mosquitto`",
        )
    return _about.problem(
        "login",
        found,
        meaning="The smart home hears nothing from this device. Music plays without, and it is tried again.",
        mend=mend or "Does the broker run, and listen there? On its machine: `systemctl status mosquitto`",
    )


def _parted(reason: str) -> tuple[str, str]:
    """What is wrong, and what mends it, where the reason ends with that."""
    for sign in (": set ", "; set ", "; renew ", "; is this ", ": is this "):
        wrong, found, mend = reason.partition(sign)
        if found:
            mend = sign[2:] + mend
            return wrong, mend[0].upper() + mend[1:]
    return reason, ""


def _login(settings: BrokerSettings) -> Finding:
    who = f"as user {settings.username}" if settings.username else "without a user name"
    line = "over TLS" if settings.encrypted else "unencrypted"
    if not settings.encrypted and not settings.stays_here:
        return _about.warning(
            "login",
            f"logged in at {settings.where} {who}, {line}",
            meaning="Whoever is in the network can read how people here feel (mqtt.allow_plaintext is set).",
            mend="Switch TLS on at the broker; then mqtt.tls = true, and no mqtt.allow_plaintext",
            encrypted=False,
            protocol=settings.protocol,
        )
    return _about.ok(
        "login",
        f"logged in at {settings.where} {who}, {line}, MQTT {settings.protocol}",
        encrypted=settings.encrypted,
        protocol=settings.protocol,
    )


def _round_trip(settings: BrokerSettings, visit: Visit, echo_s: float) -> Finding:
    reason = visit.echo(echo_s)
    topics = f"emomusic/{settings.node}/#"
    if reason:
        user = settings.username or "anonymous"
        return _about.problem(
            "access",
            reason,
            meaning="What the device tells, or what it is asked, does not arrive.",
            mend=f"In mosquitto's acl_file, below `user {user}`: topic readwrite {topics}",
            topics=topics,
        )
    return _about.ok("access", f"what is said under {topics} is passed on, and heard", topics=topics)


def _others(settings: BrokerSettings, visit: Visit, running: bool) -> Iterator[Finding]:
    """Whether somebody of our name is online, and it is not a run on this machine."""
    if not visit.node_online:
        yield _about.ok("node", f"nobody else is online as {settings.node}", node=settings.node, online=False)
    elif running:
        yield _about.ok(
            "node", f"the run on this machine is online as {settings.node}", node=settings.node, online=True
        )
    else:
        yield _about.warning(
            "node",
            f"somebody is online as {settings.node}, and no run on this machine was found",
            meaning="Two devices of one name: the one that starts later stops again, with exit code 75.",
            mend="Give this one a name of its own in mqtt.node; `emomusic-edge fleet` shows who is there",
            node=settings.node,
            online=True,
        )
