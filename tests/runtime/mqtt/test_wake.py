"""paho's network thread is woken without a TCP socket, and the patch still takes hold of the installed paho."""

from __future__ import annotations

import socket

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from emomusic_edge.runtime.mqtt.wake import unix_pair, wake_through_unix_sockets


def test_a_word_wakes_and_a_full_pair_keeps_nobody_waiting() -> None:
    reader, writer = unix_pair()
    with reader, writer:
        with pytest.raises(BlockingIOError):
            reader.recv(1)
        writer.send(b"0")
        assert reader.recv(10_000) == b"0"
        writer.send(b"0" * 1_000_000)
        with pytest.raises(BlockingIOError):
            writer.send(b"0")


def test_paho_takes_the_pair() -> None:
    wake_through_unix_sockets()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.loop_start()
    try:
        for end in (client._sockpairR, client._sockpairW):
            assert end is not None
            assert end.family == socket.AF_UNIX
    finally:
        client.disconnect()
        client.loop_stop()
