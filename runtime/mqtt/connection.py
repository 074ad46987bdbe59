"""One connection to the MQTT broker that comes back by itself, says why it is away, and never blocks its caller."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, topic_matches_sub
from paho.mqtt.enums import LogLevel
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from emomusic_edge.runtime.seldom_log import SeldomLog

from .broker import BrokerSettings
from .client import MAX_RECONNECT_S, connect_properties, filters, make_client, publish_properties, received
from .line import Outgoing, Subscription
from .login import password_now
from .reasons import why_kept_out, why_lost, why_not_taken, why_refused, why_too_large, why_unanswered, why_unread
from .tls import why_alert, why_no_connection
from .underway import Underway

_log = logging.getLogger(__name__)

# More than MQTT's own bytes around topic and payload.
_HEADERS_BYTES = 64
# Together they keep close() under a second.
_GOODBYE_S = 0.5
_STOP_S = 0.4


class BrokerConnection:
    """A paho client with its sharp edges covered; a Line.

    `on_ready` is called on the network thread each time the broker has taken us in and granted what we listen to,
    before `ready` turns true: what it sends comes first.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        client_id: str,
        subscriptions: Sequence[Subscription],
        on_ready: Callable[[], None],
        will: Outgoing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the client; nothing is sent before start().

        Args:
            settings: where the broker is.
            client_id: our name there; two of one name throw each other out.
            subscriptions: what to listen to.
            on_ready: see above.
            will: what the broker tells when our line breaks for good.
            clock: monotonic seconds.

        Raises:
            BrokerError: a file of the TLS settings is of no use.
        """
        self._settings = settings
        self._subscriptions = tuple(subscriptions)
        self._on_ready = on_ready
        self._clock = clock
        self._connected = self._closing = self._unanswered = False
        self._reason = f"not connected to the broker {settings.where} yet"
        self._refused_topic = self._too_large = self._not_taken = self._alert = ""
        self._packet_bytes: int | None = None
        self.session_kept = False
        """Whether the broker goes on with the session of the last connection."""
        self._network_thread: threading.Thread | None = None
        self._revive_at_s = 0.0
        self._moved_at_s = clock()
        self._underway = Underway()
        self._seldom = SeldomLog(_log, clock=clock)
        self._client = self._make_client(client_id, will)

    def _make_client(self, client_id: str, will: Outgoing | None) -> Client:
        client = make_client(self._settings, client_id, will)
        client.on_pre_connect = self._before_connect
        client.on_connect = self._connect_answered
        client.on_connect_fail = self._connect_failed
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        client.on_publish = self._published
        client.on_log = self._logged
        return client

    def start(self) -> None:
        """Connect in the background, again and again until it works."""
        settings = self._settings
        self._client.connect_async(
            settings.host if settings.unix_socket is None else str(settings.unix_socket),
            settings.port,
            settings.keepalive_s,
            properties=connect_properties(settings),
        )
        self._client.loop_start()

    @property
    def ready(self) -> bool:
        """Whether a message sent now would leave at once: connected, and nothing waits for a slow line."""
        return self._connected and self._thread_alive() and not self._client.want_write()

    def send(self, message: Outgoing) -> bool:
        """See Line.send."""
        size = message.size_bytes + _HEADERS_BYTES
        if self._packet_bytes is not None and size > self._packet_bytes:
            self._too_large = why_too_large(self._settings, self._packet_bytes, message.topic, size)
            return False
        if not self._underway.enter():
            return False
        words = publish_properties(self._settings, message)
        try:
            info = self._client.publish(message.topic, message.payload, message.qos, message.retained, words)
        except ValueError:
            # A topic that no broker should have let through; paho says what of it.
            self._underway.leave()
            raise
        if info.rc:
            # QoS 1 without a line is kept by paho all the same, as far as its bounded queue holds it, and sent later.
            self._underway.leave()
        elif message.qos:
            self._underway.awaits(info.mid, message.topic)
        return bool(info.rc == 0)

    @property
    def silent_s(self) -> float:
        """For how long the network thread has given no sign of life; it pings or tries to connect every few seconds."""
        return 0.0 if self._network_thread is None else self._clock() - self._moved_at_s

    def ask_kept(self) -> None:
        """Have the broker send once more what it has retained of what we listen to."""
        kept = [subscription for subscription in self._subscriptions if subscription.kept]
        if self._connected and kept:
            self._client.subscribe(filters(self._settings, kept))

    def reason(self) -> str:
        """Why nothing gets through; empty when all is well."""
        if not self._closing and not self._thread_alive():
            return f"the thread that talks to the broker {self._settings.where} has ended; it is started again"
        if not self._reason and self._refused_topic:
            return why_kept_out(self._settings, self._refused_topic)
        return self._reason or self._too_large or self._not_taken

    def revive(self) -> None:
        """Start the network thread again if it has died, at most every few seconds."""
        now_s = self._clock()
        if self._thread_alive() or self._closing or now_s < self._revive_at_s:
            return
        self._revive_at_s = now_s + MAX_RECONNECT_S
        self._connected = False
        self._network_thread = None
        _log.error("the MQTT network thread has ended; starting it again")
        self.start()

    def close(self, farewell: Outgoing | None = None) -> None:
        """Tell `farewell` and disconnect, within a second; harmless when not started.

        Where the farewell does not get through, the broker is asked to tell the will.
        """
        if self._closing:
            return
        self._closing = True
        goodbye = ReasonCode(PacketTypes.DISCONNECT, "Normal disconnection")
        if farewell is not None and self._connected and self._thread_alive():
            told = self._client.publish(farewell.topic, farewell.payload, farewell.qos, farewell.retained)
            with contextlib.suppress(ValueError, RuntimeError):  # the line broke meanwhile
                told.wait_for_publish(_GOODBYE_S)
            if told.rc or not told.is_published():
                goodbye = ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message")
        self._client.disconnect(goodbye if self._settings.protocol == "5" else None)
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

    def _before_connect(self, client: Client, _userdata: object) -> None:
        self._network_thread = threading.current_thread()
        self._moved_at_s = self._clock()
        self._unanswered = True
        self._alert = ""
        self._underway.dropped()
        settings = self._settings
        if settings.username:
            client.username_pw_set(settings.username, password_now(settings))

    def _connect_failed(self, _client: Client, _userdata: object) -> None:
        # paho calls this while it handles the exception, and tells it nowhere else.
        self._broken(why_no_connection(self._settings, sys.exc_info()[1]))

    def _connect_answered(
        self, client: Client, _userdata: object, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._unanswered = False
        self.session_kept = flags.session_present
        self._packet_bytes = getattr(properties, "MaximumPacketSize", None)
        if code.is_failure:
            self._broken(why_refused(self._settings, code.getName()))
            return
        if self._closing:
            client.disconnect()
        elif self._subscriptions:
            client.subscribe(filters(self._settings, self._subscriptions))
        else:
            self._greet()

    def _disconnected(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        # It can come twice for one loss, and after a refusal that has told its own reason.
        name = code.getName()
        if name == "Session taken over":
            self._broken(f"another client on the broker {self._settings.where} came in under our name and threw us out")
        elif self._connected:
            self._broken(why_lost(self._settings, name))
        elif self._unanswered:
            self._broken(self._alert or why_unanswered(self._settings, name))
        self._connected = self._unanswered = False

    def _subscribed(
        self, _client: Client, _userdata: object, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        kept = [one for one in self._subscriptions if one.kept]
        asked = kept if len(codes) == len(kept) else self._subscriptions  # by ask_kept(), or on connecting
        refused = [one.pattern for one, code in zip(asked, codes, strict=False) if code.is_failure]
        if not self._connected:
            # Only now: whoever is told that the device is online may send it a command at once.
            self._greet()
        if refused:
            self._broken(why_unread(self._settings, refused))

    def _greet(self) -> None:
        # Before what is told now, which tells what is wrong with the line.
        self._reason = self._refused_topic = self._too_large = self._not_taken = ""
        try:
            self._on_ready()
        except Exception as error:  # noqa: BLE001 (it would end the network thread)
            self._not_taken = why_not_taken("what is to be told on connecting", error)
            _log.exception("what is to be told on connecting could not be")
        self._connected = True
        _log.info("connected to the broker %s", self._settings.where)

    def _published(
        self, _client: Client, _userdata: object, mid: int, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._underway.leave()
        topic = self._underway.acknowledged(mid)
        if code.is_failure and topic:
            self._refused_topic = topic
            self._seldom.warning(
                topic, f"broker {self._settings.where} takes nothing from us on {topic}: {code.getName()}"
            )

    def _message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        came = received(message)
        for subscription in self._subscriptions:
            if not topic_matches_sub(subscription.pattern, came.topic):
                continue
            try:
                subscription.heard(came)
            except Exception as error:  # noqa: BLE001 (it would end the network thread)
                self._not_taken = why_not_taken(f"a message on {came.topic!r:.200}", error)
                self._seldom.warning("message", self._not_taken)
                _log.debug("a message on %.200r", came.topic, exc_info=True)

    def _logged(self, _client: Client, _userdata: object, level: int, text: str) -> None:
        # paho tells of each packet and each attempt; of what we send, on our own threads.
        if threading.current_thread() is self._network_thread:
            self._moved_at_s = self._clock()
        # With TLS 1.3 a refused client certificate shows only in what paho logs of its first read.
        if self._unanswered and level == LogLevel.MQTT_LOG_ERR:
            self._alert = self._alert or why_alert(self._settings, text)
