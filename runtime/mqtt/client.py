"""paho's client as we set it up, and its properties and messages in our terms."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from .broker import BrokerSettings
from .commands import MAX_PAYLOAD_BYTES
from .line import Outgoing, Received, Subscription
from .tls import FreshContext
from .wake import wake_through_unix_sockets

# A broker that restarts, or a Wi-Fi that hiccups, is back within this time: nobody needs to hear of it.
WILL_DELAY_S = 5
MIN_RECONNECT_S, MAX_RECONNECT_S = 1, 5
# Topic and headers of a command fit into what is left beside the largest payload.
_MAX_PACKET_BYTES = MAX_PAYLOAD_BYTES
# On the way to us at once, of QoS 1: so a flood waits at the broker.
_RECEIVE_MAXIMUM = 64
# Discovery, availability, answers to as many commands as a broker holds for us; unbounded is paho's default.
_MAX_QUEUED = 1024


def make_client(settings: BrokerSettings, client_id: str, will: Outgoing | None) -> Client:
    """A client that is not connected yet.

    Raises:
        BrokerError: a file of the TLS settings is of no use.
    """
    wake_through_unix_sockets()
    is_5 = settings.protocol == "5"
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTv5 if is_5 else MQTTv311,
        transport="tcp" if settings.unix_socket is None else "unix",
        clean_session=None if is_5 else True,
    )
    # An exception in a callback would end the network thread without a word; ours log what they catch.
    client.suppress_exceptions = True
    client.on_socket_open = send_at_once
    client.reconnect_delay_set(MIN_RECONNECT_S, MAX_RECONNECT_S)
    client.max_queued_messages_set(_MAX_QUEUED)
    if settings.encrypted:
        client.tls_set_context(FreshContext.of(settings))
    if will is not None:
        delay = None
        if is_5:
            delay = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
            delay.WillDelayInterval = WILL_DELAY_S
        client.will_set(will.topic, will.payload, will.qos, will.retained, delay)
    return client


def send_at_once(_client: Client, _userdata: object, sock: Any) -> None:
    """No small packet waits for the one before it to be acknowledged, up to 40 ms: paho leaves Nagle's algorithm on."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def connect_properties(settings: BrokerSettings) -> Properties | None:
    """What is asked of the broker on connecting; None on MQTT 3.1.1, which has no such words."""
    if settings.protocol != "5":
        return None
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = _MAX_PACKET_BYTES
    properties.ReceiveMaximum = _RECEIVE_MAXIMUM
    # By the standard a will is due when the session ends, delay or not: the session must outlive the delay.
    # Commands (QoS 1) sent in such a gap then also arrive.
    properties.SessionExpiryInterval = WILL_DELAY_S
    return properties


def publish_properties(settings: BrokerSettings, message: Outgoing) -> Properties | None:
    """MQTT 5's words beside a message; None where there are none."""
    if settings.protocol != "5":
        return None
    if message.expires_s is None and not message.response_topic and message.correlation is None:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if message.expires_s is not None:
        properties.MessageExpiryInterval = message.expires_s
    if message.response_topic:
        properties.ResponseTopic = message.response_topic
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    return properties


def received(message: MQTTMessage) -> Received:
    """A message of paho's."""
    properties = message.properties
    return Received(
        topic=message.topic,
        payload=bytes(message.payload),
        retained=message.retain,
        duplicate=message.dup,
        response_topic=getattr(properties, "ResponseTopic", ""),
        correlation=getattr(properties, "CorrelationData", None),
        packet_id=message.mid,
    )


def filters(
    settings: BrokerSettings, subscriptions: Sequence[Subscription]
) -> list[tuple[str, int]] | list[tuple[str, SubscribeOptions]]:
    """Subscriptions as paho takes them; MQTT 3.1.1 knows the quality of service alone."""
    if settings.protocol != "5":
        return [(one.pattern, int(one.qos)) for one in subscriptions]
    return [(one.pattern, _options(one)) for one in subscriptions]


def _options(subscription: Subscription) -> SubscribeOptions:
    keep = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if subscription.kept else SubscribeOptions.RETAIN_DO_NOT_SEND
    # As published: a command that was sent to be kept is told apart and refused.
    return SubscribeOptions(subscription.qos, noLocal=not subscription.own, retainAsPublished=True, retainHandling=keep)
