"""A service in a closed room whose data folder is a small disk of its own, and a broker it speaks to."""

from __future__ import annotations

import pytest
from closed_room import ClosedRoom
from closed_room_fixtures import listener, room
from small_disk import SmallDisk

__all__ = ["disk", "listener", "room"]


@pytest.fixture
def disk(room: ClosedRoom) -> SmallDisk:
    """The data folder and the cache of the room."""
    return SmallDisk(room)
