"""Fixtures of the runtime's tests: a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker, Listener


@pytest.fixture
def stopped_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that does not run yet."""
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Broker(folder)
    yield broker
    broker.stop()


@pytest.fixture
def broker(stopped_broker: Broker) -> Broker:
    """A running broker on a free port of 127.0.0.1 (`broker.port`), for anyone, without TLS."""
    stopped_broker.start()
    return stopped_broker


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    """A client that hears everything on `broker`."""
    with Listener(broker) as listening:
        yield listening
