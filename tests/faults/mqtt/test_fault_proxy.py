"""The proxy's faults are those that they say they are."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from broker import DEADLINE_S, wait_until
from fault_proxy import FaultProxy, Pace


@dataclass
class Ends:
    """A line by the proxy: the device's end and the broker's."""

    proxy: FaultProxy
    server: socket.socket
    device: socket.socket
    broker: socket.socket


@pytest.fixture
def ends() -> Iterator[Ends]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = FaultProxy(server.getsockname()[1])
        device, broker = joined(proxy, server)
        with device, broker:
            yield Ends(proxy, server, device, broker)
        proxy.close()


def joined(proxy: FaultProxy, server: socket.socket) -> tuple[socket.socket, socket.socket]:
    device = socket.create_connection(("127.0.0.1", proxy.port), DEADLINE_S)
    broker, _ = server.accept()
    broker.settimeout(DEADLINE_S)
    return device, broker


def heard(end: socket.socket) -> bytes | None:
    """What has come within a moment; None for nothing."""
    end.settimeout(0.2)
    try:
        return end.recv(100)
    except TimeoutError:
        return None
    finally:
        end.settimeout(DEADLINE_S)


def test_a_well_line_passes_all_and_both_ends_learn_of_its_end(ends: Ends) -> None:
    sent = bytes(range(256)) * 8_000
    threading.Thread(target=ends.device.sendall, args=(sent,)).start()
    came = b""
    while len(came) < len(sent):
        came += ends.broker.recv(100_000)
    assert came == sent
    ends.broker.sendall(b"back")
    assert ends.device.recv(100) == b"back"
    ends.device.close()
    assert ends.broker.recv(100) == b""
    assert (ends.proxy.knocks, ends.proxy.accepted) == (1, 1)


def test_a_swallowed_line_is_silent_for_good_and_a_new_one_passes(ends: Ends) -> None:
    ends.proxy.swallow()
    ends.device.sendall(b"lost")
    assert heard(ends.broker) is None
    ends.device.close()
    assert heard(ends.broker) is None
    ends.proxy.heal()
    assert heard(ends.broker) is None
    device, broker = joined(ends.proxy, ends.server)
    with device, broker:
        device.sendall(b"new")
        assert broker.recv(100) == b"new"


def test_a_silent_newcomer_is_taken_in_and_hears_nothing(ends: Ends) -> None:
    ends.proxy.newcomers_silent(True)
    with socket.create_connection(("127.0.0.1", ends.proxy.port), DEADLINE_S) as newcomer:
        newcomer.sendall(b"hello")
        wait_until(lambda: ends.proxy.knocks == 2, "the newcomer")
        assert heard(newcomer) is None
        assert ends.proxy.accepted == 1


def test_a_stalled_line_loses_nothing(ends: Ends) -> None:
    ends.proxy.stall(True)
    ends.device.sendall(b"late")
    assert heard(ends.broker) is None
    ends.proxy.heal()
    assert ends.broker.recv(100) == b"late"


def test_a_slow_line_passes_all_in_order(ends: Ends) -> None:
    ends.proxy.pace(Pace(0.3, 1_000_000.0))
    for piece in (b"one ", b"two ", b"three"):
        ends.device.sendall(piece)
    assert heard(ends.broker) is None
    came = b""
    while len(came) < 13:
        came += ends.broker.recv(100)
    assert came == b"one two three"


def test_a_reset_is_a_reset(ends: Ends) -> None:
    ends.proxy.newcomers_reset(True)
    ends.proxy.reset()
    for end in (ends.device, ends.broker):
        with pytest.raises(ConnectionResetError):
            end.recv(100)
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", ends.proxy.port), DEADLINE_S) as newcomer,
    ):
        newcomer.recv(100)


def test_a_cut_passes_so_many_bytes(ends: Ends) -> None:
    ends.proxy.cut_mid_message(3)
    ends.broker.sendall(b"12345")
    came = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := ends.device.recv(1):
            came += piece
    # A reset may overtake what came before it.
    assert b"123".startswith(came)


def test_injected_words_reach_the_device_alone(ends: Ends) -> None:
    ends.proxy.inject(b"psst")
    assert ends.device.recv(100) == b"psst"
    assert heard(ends.broker) is None
