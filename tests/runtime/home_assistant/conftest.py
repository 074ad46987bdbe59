"""Home Assistant itself, started once for all tests that need it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from broker import Broker
from hub import Hub


@pytest.fixture(scope="module")
def hub_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def hub(hub_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Home Assistant, joined to the broker."""
    hub = Hub(os.environ["HOME_ASSISTANT_PYTHON"], tmp_path_factory.mktemp("hub"))
    try:
        hub.start()
        hub.join_broker(hub_broker.port)
        sys.stderr.write(f"\nHome Assistant {hub.version}\n")
        yield hub
    finally:
        hub.stop()
