"""One connection to the MQTT broker that comes back by itself, says why it is away, and never blocks its caller."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from emomusic_edge.errors import BrokerError

from .broker import BrokerSettings
from .commands import MAX_PAYLOAD_BYTES
from .messages import AVAILABILITY, COMMAND, OFFLINE, ONLINE, TopicRule

_log = logging.getLogger(__name__)

# A broker that restarts, or a Wi-Fi that hiccups, is back within this time: nobody needs to hear of it.
WILL_DELAY_S = 5
# Topic and headers of a command fit into what is left beside the largest payload.
_MAX_PACKET_BYTES = MAX_PAYLOAD_BYTES
_RECONNECT_MIN_S, _RECONNECT_MAX_S = 1, 5
# Two clients of one name throw each other out about as often as they come back.
_SHORT_LINE_S = 5.0
# Together they keep close() under a second.
_GOODBYE_S = 0.5
_STOP_S = 0.4


class BrokerConnection:
    """A paho client with its sharp edges covered.

    `on_ready` is called on the network thread each time the broker has taken us in and the device is told to be online,
    before `ready` turns true: what it sends comes first. `on_command(name, payload, retained)` is called there for each
    message under `cmd/`.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        on_ready: Callable[[], None],
        on_command: Callable[[str, bytes, bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the client; nothing is sent before start().

        Raises:
            BrokerError: the CA file holds no certificate.
        """
        self._settings = settings
        self._on_ready = on_ready
        self._on_command = on_command
        self._clock = clock
        self._connected = False
        self._closing = False
        self._unanswered = False
        self._reason = f"not connected to the broker {settings.where} yet"
        self._network_thread: threading.Thread | None = None
        self._revive_at_s = 0.0
        self._connected_at_s = -math.inf
        self._short_lines = 0
        self._client = self._make_client()

    def _make_client(self) -> Client:
        settings = self._settings
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"emomusic-{settings.node}",
            protocol=MQTTv5,
            transport="tcp" if settings.unix_socket is None else "unix",
        )
        # An exception in a callback would end the network thread without a word; ours log what they catch.
        client.suppress_exceptions = True
        client.reconnect_delay_set(_RECONNECT_MIN_S, _RECONNECT_MAX_S)
        # Only availability is QoS 1 on our side; unbounded is paho's default.
        client.max_queued_messages_set(4)
        if settings.username:
            client.username_pw_set(settings.username, settings.password)
        if settings.tls and settings.unix_socket is None:
            client.tls_set_context(_tls_context(settings.ca_file))
        delay = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
        delay.WillDelayInterval = WILL_DELAY_S
        client.will_set(settings.topic(AVAILABILITY.name), OFFLINE, AVAILABILITY.qos, AVAILABILITY.retained, delay)
        client.on_pre_connect = self._before_connect
        client.on_connect = self._connect_answered
        client.on_connect_fail = self._connect_failed
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        return client

    def start(self) -> None:
        """Connect in the background, again and again until it works."""
        settings = self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = _MAX_PACKET_BYTES
        # By the standard a will is due when the session ends, delay or not: the session must outlive the delay.
        # Commands (QoS 1) sent in such a gap then also arrive.
        properties.SessionExpiryInterval = WILL_DELAY_S
        self._client.connect_async(
            settings.host if settings.unix_socket is None else str(settings.unix_socket),
            settings.port,
            settings.keepalive_s,
            properties=properties,
        )
        self._client.loop_start()

    @property
    def ready(self) -> bool:
        """Whether a message sent now would leave at once: connected, and nothing waits for a slow line."""
        return self._connected and self._thread_alive() and not self._client.want_write()

    def send(self, rule: TopicRule, payload: str, name: str | None = None) -> None:
        """Hand a message to the network thread; lost when the connection is.

        Args:
            rule: the topic's quality of service and retention.
            payload: what to tell.
            name: the topic under `emomusic/<node>/`, where the rule's name is a pattern.
        """
        self._client.publish(self._settings.topic(name or rule.name), payload, rule.qos, rule.retained)

    def reason(self) -> str:
        """Why nothing gets through; empty when all is well."""
        if not self._closing and not self._thread_alive():
            return f"the thread that talks to the broker {self._settings.where} has ended; it is started again"
        return self._reason

    def revive(self) -> None:
        """Start the network thread again if it has died, at most every few seconds."""
        now_s = self._clock()
        if self._thread_alive() or self._closing or now_s < self._revive_at_s:
            return
        self._revive_at_s = now_s + _RECONNECT_MAX_S
        self._connected = False
        self._network_thread = None
        _log.error("the MQTT network thread has ended; starting it again")
        self.start()

    def close(self) -> None:
        """Tell that the device is offline and disconnect, within a second; harmless when not started."""
        if self._closing:
            return
        self._closing = True
        goodbye = ReasonCode(PacketTypes.DISCONNECT, "Normal disconnection")
        if self._connected and self._thread_alive():
            told = self._client.publish(
                self._settings.topic(AVAILABILITY.name), OFFLINE, AVAILABILITY.qos, AVAILABILITY.retained
            )
            with contextlib.suppress(ValueError, RuntimeError):  # the line broke meanwhile
                told.wait_for_publish(_GOODBYE_S)
            if told.rc or not told.is_published():
                goodbye = ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message")
        self._client.disconnect(goodbye)
        # loop_stop() joins the network thread, which may be waiting for a name server or a dead host.
        stopper = threading.Thread(target=self._client.loop_stop, name="mqtt-stop", daemon=True)
        stopper.start()
        stopper.join(_STOP_S)
        self._connected = False
        self._reason = "closed"

    def _thread_alive(self) -> bool:
        thread = self._network_thread
        return thread is None or thread.is_alive()

    def _broken(self, reason: str) -> None:
        if self._closing:
            return
        if reason != self._reason:
            _log.warning("%s", reason)
        self._reason = reason

    # From here on, the network thread.

    def _before_connect(self, _client: Client, _userdata: object) -> None:
        self._network_thread = threading.current_thread()
        self._unanswered = True

    def _connect_failed(self, _client: Client, _userdata: object) -> None:
        # paho calls this while it handles the exception, and tells it nowhere else.
        self._broken(_why_no_connection(self._settings, sys.exc_info()[1]))

    def _connect_answered(
        self, client: Client, _userdata: object, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        where = self._settings.where
        self._unanswered = False
        if code.is_failure:
            if code.getName() in ("Not authorized", "Bad user name or password", "Banned"):
                who = f"of user {self._settings.username!r}" if self._settings.username else "without a user name"
                self._broken(f"broker {where} refused the login {who}: set mqtt.username and mqtt.password")
            else:
                self._broken(f"broker {where} refused the connection: {code.getName()}")
            return
        if self._closing:
            client.disconnect()
            return
        # A command that the broker kept is an old wish; one sent to be kept is told apart and refused.
        options = SubscribeOptions(
            COMMAND.qos, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND
        )
        client.subscribe(self._settings.topic("cmd/+"), options=options)

    def _disconnected(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        # It can come twice for one loss, and after a refusal that has told its own reason.
        where = self._settings.where
        if self._connected:
            is_short = self._clock() - self._connected_at_s < _SHORT_LINE_S
            self._short_lines = self._short_lines + 1 if is_short else 0
        # mosquitto before 2.0.12 drops the older of two clients of one name without saying why.
        taken_over = self._connected and self._short_lines >= 2
        if code.getName() == "Session taken over" or taken_over:
            self._broken(
                f"another client on the broker {where} uses the name {self._settings.node!r}: "
                "stop the other copy of this program, or give each device its own mqtt.node"
            )
        elif self._connected:
            self._broken(f"broker {where} went away ({code.getName()}); reconnecting")
        elif self._unanswered:
            self._broken(f"broker {where} hung up without an answer: is this the port for TLS, or for plaintext?")
        self._connected = self._unanswered = False

    def _subscribed(
        self, _client: Client, _userdata: object, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        # Only now: whoever is told that the device is online may send it a command at once.
        where = self._settings.where
        self.send(AVAILABILITY, ONLINE)
        try:
            self._on_ready()
        except Exception:  # noqa: BLE001 (it would end the network thread)
            _log.exception("what is to be told on connecting could not be")
        self._connected = True
        self._connected_at_s = self._clock()
        if any(code.is_failure for code in codes):
            self._broken(f"broker {where} lets us read no {self._settings.topic('cmd/+')}: no command arrives")
        else:
            self._reason = ""
            _log.info("connected to the broker %s", where)

    def _message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        try:
            self._on_command(message.topic.rsplit("/", 1)[-1], bytes(message.payload), message.retain)
        except Exception:  # noqa: BLE001 (it would end the network thread)
            _log.exception("a command could not be taken")


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:  # ssl.SSLError among them
        raise BrokerError(
            f"mqtt.ca_file {ca_file} holds no certificate in PEM form ({error}).",
            mend="Copy the broker's CA certificate (-----BEGIN CERTIFICATE-----) there.",
        ) from error


def _why_no_connection(settings: BrokerSettings, error: BaseException | None) -> str:
    broker = f"broker {settings.where}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{broker}: its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"{broker} does not speak TLS as expected ({error.reason or error})"
    if isinstance(error, socket.gaierror):
        return f"{broker}: no such host ({error.strerror})"
    if isinstance(error, OSError) and error.strerror:
        return f"{broker} does not answer ({error.strerror})"
    return f"{broker} does not answer"
