"""The socket of a connection, as the system sees it."""

from __future__ import annotations

import socket

import pytest
from broker import Broker

from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.client import make_client, send_at_once


@pytest.mark.broker
def test_a_small_packet_does_not_wait_for_the_one_before_it(broker: Broker) -> None:
    client = make_client(BrokerSettings(host="127.0.0.1", port=broker.port), "test", None)
    client.connect("127.0.0.1", broker.port)
    try:
        line = client.socket()
        assert line is not None
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    finally:
        client.disconnect()
        client.loop()


def test_a_unix_socket_has_no_such_wait() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        send_at_once(None, None, one)
