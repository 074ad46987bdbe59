"""A soak runs only when it is asked for by its mark: `make soak`, or pytest -m soak."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # An `-m "not soak"` in addopts would be lost as soon as another -m is typed.
    if "soak" in config.option.markexpr:
        return
    asked_for = [item for item in items if item.get_closest_marker("soak") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in asked_for])
    items[:] = asked_for


@pytest.fixture
def soak_broker(tmp_path: Path) -> Iterator[Broker]:
    """A real broker on a free port of 127.0.0.1."""
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Broker(folder)
    broker.start()
    yield broker
    broker.stop()
