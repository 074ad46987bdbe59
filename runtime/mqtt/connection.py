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
from .line import Qos, Subscription, Will
from .login import password_now
from .reasons import why_lost, why_refused, why_unanswered
from .tls import why_alert, why_no_connection

_log = logging.getLogger(__name__)

# What may wait for a slow line before more is refused; a broker that reads nothing must cost no memory.
_MAX_UNSENT = 1024
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
        will: Will | None = None,
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
        self._connected = False
        self._closing = False
        self._unanswered = False
        self._reason = f"not connected to the broker {settings.where} yet"
        self._refused_topic = ""
        self._too_large = ""
        self._packet_bytes: int | None = None
        self._alert = ""
        self.session_kept = False
        """Whether the broker goes on with the session of the last connection."""
        self._network_thread: threading.Thread | None = None
        self._revive_at_s = 0.0
        self._moved_at_s = clock()
        self._unsent = 0
        self._unsent_lock = threading.Lock()
        self._topics: dict[int, str] = {}
        self._seldom = SeldomLog(_log, clock=clock)
        self._client = self._make_client(client_id, will)

    def _make_client(self, client_id: str, will: Will | None) -> Client:
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

    def send(
        self,
        topic: str,
        payload: str | bytes,
        *,
        qos: Qos = 0,
        retained: bool = False,
        expires_s: int | None = None,
        response_topic: str = "",
        correlation: bytes | None = None,
    ) -> bool:
        """See Line.send."""
        size = len(topic.encode()) + len(payload.encode() if isinstance(payload, str) else payload) + _HEADERS_BYTES
        if self._packet_bytes is not None and size > self._packet_bytes:
            self._too_large = (
                f"broker {self._settings.where} takes packets of at most {self._packet_bytes} bytes, and {topic} needs "
                f"{size}: raise max_packet_size there"
            )
            return False
        with self._unsent_lock:
            if self._unsent >= _MAX_UNSENT:
                return False
            self._unsent += 1
        properties = None
        if self._settings.protocol == "5":
            properties = publish_properties(expires_s, response_topic, correlation)
        try:
            info = self._client.publish(topic, payload, qos, retained, properties)
        except ValueError:
            # A topic that no broker should have let through; paho says what of it.
            self._no_longer_unsent()
            raise
        if info.rc:
            # QoS 1 without a line is kept by paho all the same, as far as its bounded queue holds it, and sent later.
            self._no_longer_unsent()
        elif qos:
            self._topics[info.mid] = topic
        return bool(info.rc == 0)

    def _no_longer_unsent(self) -> None:
        with self._unsent_lock:
            self._unsent = max(0, self._unsent - 1)

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
            return (
                f"broker {self._settings.where} takes nothing from us on {self._refused_topic}: "
                "allow it in the broker's access list"
            )
        return self._reason or self._too_large

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

    def close(self, farewell: Will | None = None) -> None:
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
        self._topics.clear()
        with self._unsent_lock:
            # paho has just dropped what waited.
            self._unsent = 0
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
            self._broken(
                f"broker {self._settings.where} lets us read no {', '.join(refused)}: "
                "what is sent there does not arrive; allow it in the broker's access list"
            )

    def _greet(self) -> None:
        self._refused_topic = self._too_large = ""
        try:
            self._on_ready()
        except Exception:  # noqa: BLE001 (it would end the network thread)
            _log.exception("what is to be told on connecting could not be")
        self._connected = True
        self._reason = ""
        _log.info("connected to the broker %s", self._settings.where)

    def _published(
        self, _client: Client, _userdata: object, mid: int, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._no_longer_unsent()
        topic = self._topics.pop(mid, "")
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
            except Exception:  # noqa: BLE001 (it would end the network thread)
                self._seldom.warning("message", "a message could not be taken")
                _log.debug("a message on %.200r", came.topic, exc_info=True)

    def _logged(self, _client: Client, _userdata: object, level: int, text: str) -> None:
        # paho tells of each packet and each attempt; of what we send, on our own threads.
        if threading.current_thread() is self._network_thread:
            self._moved_at_s = self._clock()
        # With TLS 1.3 a refused client certificate shows only in what paho logs of its first read.
        if self._unanswered and level == LogLevel.MQTT_LOG_ERR:
            self._alert = self._alert or why_alert(self._settings, text)
