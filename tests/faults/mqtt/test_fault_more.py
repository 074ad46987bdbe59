"""Faults that need a device of their own: no broker at the start, a rogue one, MQTT 3.1.1, a clock that jumps."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from broker import Listener
from fault_kinds import KINDS
from fault_rig import NODE, RIGHT, Blow, Rig, rigged

from emomusic_edge.paths import DataLayout

# Two minutes in all: with the 200 in a row (make faults). The kinds themselves run with every make test.
pytestmark = [pytest.mark.broker, pytest.mark.faults, pytest.mark.timeout(180)]

KEEPALIVE_S = 2


def test_a_broker_that_is_down_at_the_start_is_found_and_the_music_plays_meanwhile(
    starter_layout: DataLayout, tmp_path: Path
) -> None:
    with rigged(tmp_path, starter_layout, broker_up=False, keepalive_s=KEEPALIVE_S) as rig:
        rig.until(lambda: rig.device.now.songs, "the music")
        assert f"broker localhost:{rig.proxy.port}" in rig.device.now.reason
        rig.broker.start()
        recovery = rig.recovery(Blow(time.monotonic()), accepted_before=0)
        assert recovery.answered
        assert recovery.kept == RIGHT
        assert rig.device.now.standstills == 0
        assert rig.device.faults == []


def test_what_a_broker_kept_over_a_restart_is_neither_obeyed_nor_left(
    starter_layout: DataLayout, tmp_path: Path
) -> None:
    """A retained command and a retained feeling of another program, on the broker's disk."""
    with rigged(tmp_path, starter_layout, broker_up=False, keepalive_s=KEEPALIVE_S) as rig:
        rig.proxy.newcomers_reset(True)
        rig.broker.start()
        rig.until(lambda: rig.controller.ready, "the controller")
        rig.controller.keep(f"emomusic/{NODE}/cmd/mode", "off")
        rig.controller.keep(f"emomusic/{NODE}/state", '{"valence": 3}')
        rig.proxy.heal()
        rig.settled()
        rig.broker.stop()
        rig.broker.start()
        recovery = rig.recovery(Blow(time.monotonic()), rig.proxy.accepted - 1)
        assert recovery.answered
        # The device hears no retained command, so that one stays: it is harmless.
        assert recovery.kept == {**RIGHT, "cmd/mode": b"off"}
        assert rig.controller.newest("state")[1]["mode"] == "mirror"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_late_will_of_a_run_that_crashed_does_not_stand(
    starter_layout: DataLayout, tmp_path: Path, protocol: str
) -> None:
    """The next run is online before the broker tells the last one's will: what is kept must be right all the same."""
    with rigged(tmp_path, starter_layout, protocol=protocol, keepalive_s=KEEPALIVE_S) as rig:
        rig.settled()
        with Listener(rig.broker) as listener:
            accepted = rig.proxy.accepted
            rig.crash_device()
            assert rig.recovery(Blow(time.monotonic()), accepted).answered
            listener.wait(f"emomusic/{NODE}/availability", lambda heard: heard.payload == b"offline")
            rig.until(lambda: rig.controller.kept() == RIGHT, "the right state to be kept")
            listener.barrier()
            assert listener.all(f"emomusic/{NODE}/availability")[-1].payload == b"online"


@pytest.mark.parametrize("fault", ["frozen", "half-open", "silent newcomers", "down"])
def test_a_device_that_is_stopped_amid_a_fault_ends(starter_layout: DataLayout, tmp_path: Path, fault: str) -> None:
    """Whoever waits for it (a service manager) is not made to kill it."""
    with rigged(tmp_path, starter_layout, keepalive_s=KEEPALIVE_S) as rig:
        rig.settled()
        if fault == "frozen":
            rig.broker.freeze()
        elif fault == "half-open":
            rig.proxy.swallow()
        elif fault == "down":
            rig.broker.kill()
        else:
            knocks = rig.proxy.knocks
            rig.proxy.newcomers_silent(True)
            rig.proxy.reset()
            rig.until(lambda: rig.proxy.knocks > knocks, "the device to come back")
        assert rig.device.close() == 0
        assert rig.device.faults == []


@pytest.fixture(scope="module")
def old_rig(starter_layout: DataLayout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A device on MQTT 3.1.1: no session, no delayed will, no bound on what a broker may send."""
    folder = tmp_path_factory.mktemp("old")
    with rigged(folder, starter_layout, tls=False, login=False, protocol="3.1.1", keepalive_s=KEEPALIVE_S) as made:
        made.settled()
        yield made


@pytest.mark.parametrize("kind", ["broker killed", "half-open", "resets", "client name taken", "100 MB payload"])
def test_mqtt_3_1_1_outlives(old_rig: Rig, kind: str) -> None:
    rig = old_rig
    assert rig.ask()
    accepted = rig.proxy.accepted
    recovery = rig.recovery(KINDS[kind](rig, random.Random(kind)), accepted)
    assert recovery.answered
    assert recovery.kept == RIGHT
    assert rig.device.faults == []


@pytest.fixture(scope="module")
def plain_rig(starter_layout: DataLayout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Without TLS, so that the proxy can put words into the broker's mouth."""
    folder = tmp_path_factory.mktemp("plain")
    with rigged(folder, starter_layout, tls=False, login=False, keepalive_s=KEEPALIVE_S) as made:
        made.settled()
        yield made


def published(topic: bytes, payload: bytes, properties: bytes = b"") -> bytes:
    """A PUBLISH of QoS 0 on MQTT 5, shorter than 128 bytes."""
    body = len(topic).to_bytes(2, "big") + topic + bytes([len(properties)]) + properties + payload
    assert len(body) < 128
    return bytes([0x30, len(body)]) + body


ODD_PACKETS = {
    "a topic that is no UTF-8": published(b"emomusic/\xff\xfe/cmd/volume", b"0.5"),
    "a topic with a zero": published(b"emomusic/\0/cmd/volume", b"0.5"),
    "a response topic that is no UTF-8": published(f"emomusic/{NODE}/cmd/volume".encode(), b"0.5", b"\x08\0\2\xff\xfe"),
    "a property that does not exist": published(f"emomusic/{NODE}/cmd/volume".encode(), b"0.5", b"\x7f\0"),
    "properties longer than the packet": bytes([0x30, 6, 0, 1, 0x61, 0x7F, 0x01, 0x3C]),
    "a packet of a type that does not exist": b"\xf3\x02\0\0",
    "a length that never ends": b"\x30\xff\xff\xff\xff\xff\xff",
    "a broker's goodbye": b"\xe0\x02\x8b\0",
    "an answer to nothing": b"\x40\x02\x12\x34",
    "noise": random.Random(1).randbytes(400),
}


@pytest.mark.parametrize("what", ODD_PACKETS)
def test_a_rogue_broker_does_not_end_the_device(plain_rig: Rig, what: str) -> None:
    rig = plain_rig
    accepted, standstills = rig.proxy.accepted, rig.device.now.standstills
    rig.proxy.inject(ODD_PACKETS[what])
    recovery = rig.recovery(Blow(time.monotonic(), breaks=False), accepted)
    if not recovery.answered:
        # The line took the packet for the beginning of a longer one, and is given up when nothing comes back.
        recovery = rig.recovery(Blow(time.monotonic()), accepted)
    assert recovery.answered
    assert recovery.kept == RIGHT
    assert rig.device.now.standstills == standstills
    assert rig.device.alive


HOUR = timedelta(hours=1)


class JumpingClock:
    """The wall clock of the programs that are started with `environment`, moved by jumping_clock.c."""

    def __init__(self, folder: Path) -> None:
        self._file, library = folder / "moved_s", folder / "jumping_clock.so"
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler here: the clock cannot be made to jump")
        source = Path(__file__).with_name("jumping_clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        self.jump(0)
        self.environment = {"LD_PRELOAD": str(library), "JUMPING_CLOCK": str(self._file)}

    def jump(self, moved_s: float) -> None:
        with self._file.open("r+b" if self._file.exists() else "w+b") as file:
            file.write(struct.pack("=q", round(moved_s)))


def _told_at(rig: Rig) -> datetime:
    return datetime.fromisoformat(rig.controller.newest("state")[1]["at"].replace("Z", "+00:00"))


@pytest.mark.parametrize("hours", [1, -1])
def test_a_wall_clock_that_jumps_under_broker_and_device(
    starter_layout: DataLayout, tmp_path: Path, hours: int
) -> None:
    clock = JumpingClock(tmp_path)
    how = {"environment": clock.environment, "keepalive_s": KEEPALIVE_S, "tls": False}
    with rigged(tmp_path / "rig", starter_layout, **how) as rig:
        rig.settled()
        before, accepted = _told_at(rig), rig.proxy.accepted
        clock.jump(hours * HOUR.total_seconds())
        rig.until(lambda: abs(_told_at(rig) - before) > 0.9 * HOUR, "the jump to show")
        recovery = rig.recovery(Blow(time.monotonic(), breaks=False), accepted)
        assert recovery.answered
        assert recovery.kept == RIGHT
        assert not recovery.reconnected
        rig.proxy.reset()
        assert rig.recovery(Blow(time.monotonic()), accepted).answered
        assert rig.device.now.standstills == 0
        assert rig.device.faults == []


def test_a_clock_that_is_a_day_behind_is_told_as_such(starter_layout: DataLayout, tmp_path: Path) -> None:
    """A board without a battery starts in the past: no certificate is valid yet, until the time is set."""
    clock = JumpingClock(tmp_path)
    clock.jump(-24 * HOUR.total_seconds())
    with rigged(tmp_path / "rig", starter_layout, device_environment=clock.environment, keepalive_s=KEEPALIVE_S) as rig:
        rig.until(lambda: "is this machine's clock right?" in rig.device.now.reason, "the reason")
        clock.jump(0)
        assert rig.recovery(Blow(time.monotonic()), accepted_before=0).answered
