"""The long run of faults goes only when it is asked for by its mark: `make faults`, or pytest -m faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fault_rig import Rig, rigged

from emomusic_edge.paths import DataLayout

KEEPALIVE_S = 2
"""Of the short tests, so that a silent line is found out within four seconds."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # An `-m "not faults"` in addopts would be lost as soon as another -m is typed.
    if "faults" in config.option.markexpr:
        return
    asked_for = [item for item in items if item.get_closest_marker("faults") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in asked_for])
    items[:] = asked_for


@pytest.fixture(scope="module")
def rig(starter_layout: DataLayout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A device that is well, behind TLS and a login; one for all tests of a module, which leave it well."""
    with rigged(tmp_path_factory.mktemp("faults"), starter_layout, keepalive_s=KEEPALIVE_S) as made:
        made.settled()
        yield made
