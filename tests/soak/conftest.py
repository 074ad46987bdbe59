"""What the soaks share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker


@pytest.fixture
def soak_broker(tmp_path: Path) -> Iterator[Broker]:
    """A real broker on a free port of 127.0.0.1."""
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Broker(folder)
    broker.start()
    yield broker
    broker.stop()
