"""A closed room with a broker in it, and the service in there as its unit starts it."""

from __future__ import annotations

import shlex
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Listener
from closed_room import ClosedRoom, Run, Service
from closed_room_fixtures import listener, room
from conftest import REPO

__all__ = ["listener", "room", "service"]

UNIT = REPO / "systemd" / "emomusic-edge.service"


@pytest.fixture
def service(room: ClosedRoom, listener: Listener) -> Iterator[Service]:
    """Starts the service, with the unit's command line and environment; what runs at the end is killed."""
    lines = UNIT.read_text().splitlines()
    command = next(shlex.split(line.partition("=")[2]) for line in lines if line.startswith("ExecStart="))
    unit = dict(line.split("=", 2)[1:] for line in lines if line.startswith("Environment="))
    config = room.folder / "config.toml"
    assert command[1:] == ["run", "--config", "/etc/emomusic-edge/config.toml"]
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(room.folder / "notify"))
    reader = threading.Thread(target=_read, args=(notify, room.told_systemd))
    reader.start()
    runs: list[Run] = []

    def start(*lines: str, traces: Path | None = None) -> Run:
        own = [f'camera.source = "{room.source}"', f"mqtt.port = {room.broker_port}", 'mqtt.node = "room"']
        config.write_text("\n".join([*own, *lines]) + "\n")
        log = room.log
        log.touch()
        environment = {
            **unit,
            "EMOMUSIC_PATHS__DATA_DIR": str(room.data),
            "EMOMUSIC_PATHS__CACHE_DIR": str(room.cache),
            "NOTIFY_SOCKET": str(room.folder / "notify"),
            "WATCHDOG_USEC": "30000000",
            "JOURNAL_STREAM": f"{log.stat().st_dev}:{log.stat().st_ino}",
        }
        runs.append(Run(room, [*command[1:-1], str(config)], traces=traces, environment=environment))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()
    notify.shutdown(socket.SHUT_RDWR)
    reader.join()
    notify.close()


def _read(notify: socket.socket, told: list[bytes]) -> None:
    """As systemd does: what is not read would hold up who says it."""
    while message := notify.recv(4096):
        told.append(message)
