"""What wakes paho's network thread: a pair of unix sockets, where paho takes two TCP sockets on the loopback.

With paho's own pair every process of the machine could connect for a moment, in place of paho itself; and a service
that is allowed unix sockets alone (systemd/private-network.conf) could not speak MQTT at all.
"""

from __future__ import annotations

import socket

from paho.mqtt import client as paho


def unix_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that never wait, as paho's own pair."""
    ends = socket.socketpair(socket.AF_UNIX)
    for end in ends:
        end.setblocking(False)
    return ends


def wake_through_unix_sockets() -> None:
    """Have all clients of this process wake their threads so; harmless when done again.

    paho has no setting for it. The function is replaced by name: should a later paho call it otherwise, its own pair
    is taken again, and tests/runtime/mqtt/test_wake.py fails.
    """
    paho._socketpair_compat = unix_pair
