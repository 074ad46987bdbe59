"""The watchdog and the line to systemd, over a real notify socket."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.runtime.service_manager import ServiceManager
from emomusic_edge.runtime.watchdog import Part, Watchdog


class NotifySocket:
    """What systemd would hear."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """All since the last call."""
        words = []
        while True:
            try:
                words.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return words

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NotifySocket]:
    notify = NotifySocket(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(notify.path))
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    yield notify
    notify.close()


def test_the_words_that_systemd_hears(systemd: NotifySocket) -> None:
    manager = ServiceManager()
    with manager.loading():
        pass
    manager.ready()
    manager.status("10 frames a second")
    manager.status("10 frames a second")
    manager.alive()
    manager.stopping()
    assert systemd.heard() == [
        "EXTEND_TIMEOUT_USEC=60000000",
        "READY=1",
        "STATUS=10 frames a second",
        "WATCHDOG=1",
        "STOPPING=1",
    ]
    assert manager.watchdog_s == 30.0


def test_a_manager_that_does_not_listen_holds_up_nobody(systemd: NotifySocket) -> None:
    """The queue of a datagram socket holds a few dozen messages at most, and then its sender waits."""
    manager = ServiceManager()
    manager.ready()
    done = threading.Event()

    def tell() -> None:
        for number in range(2000):
            manager.status(str(number))
        done.set()

    threading.Thread(target=tell, daemon=True).start()
    assert done.wait(20.0)
    assert systemd.heard()[:2] == ["READY=1", "STATUS=0"]
    manager.alive()
    assert systemd.heard() == ["WATCHDOG=1"]


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    manager = ServiceManager()
    with manager.loading():
        manager.ready()
    assert manager.watchdog_s is None


@pytest.mark.parametrize(("usec", "pid"), [("30000000", "1"), ("0", ""), ("soon", ""), ("-5", "")])
def test_a_watchdog_that_is_not_ours_is_none(usec: str, pid: str) -> None:
    environ = {"WATCHDOG_USEC": usec, **({"WATCHDOG_PID": pid} if pid else {})}
    assert ServiceManager(environ).watchdog_s is None


def test_a_hung_part_stops_the_pings_and_is_named_until_it_moves(systemd: NotifySocket) -> None:
    silent_s = {"capture": 0.0, "audio": 0.0}
    parts = {name: Part(lambda name=name: silent_s[name], limit_s=20.0) for name in silent_s}  # type: ignore[misc]
    watchdog = Watchdog(ServiceManager(), parts)
    watchdog.step(0.0, "well")
    assert systemd.heard() == ["STATUS=well", "WATCHDOG=1"]
    for second in range(1, 20):
        watchdog.step(float(second), "well")
    assert systemd.heard() == ["WATCHDOG=1"]
    silent_s["audio"] = 21.0
    for second in range(20, 31):
        watchdog.step(float(second), "well")
    watchdog.step(31.0, "well")
    assert systemd.heard() == ["WATCHDOG=1", "STATUS=hangs: audio"]
    silent_s["audio"] = 0.0
    for second in range(32, 42):
        watchdog.step(float(second), "well")
    assert systemd.heard() == ["STATUS=well", "WATCHDOG=1"]


def test_silence_while_the_whole_process_was_stopped_is_no_parts_fault(systemd: NotifySocket) -> None:
    """The machine slept, or was too busy: all parts look silent at once, and the first look must not count that."""
    silent_s = 0.0
    watchdog = Watchdog(ServiceManager(), {"audio": Part(lambda: silent_s, limit_s=20.0)})
    watchdog.step(0.0, "well")
    systemd.heard()
    silent_s = 28.0
    watchdog.step(28.0, "well")
    assert "WATCHDOG=1" in systemd.heard()
    for second in range(29, 60):
        silent_s = float(second)
        watchdog.step(float(second), "well")
    assert systemd.heard()[-1] == "STATUS=hangs: audio", "silent for 20 s since then: it does hang"


def test_a_loop_that_is_always_slow_forgives_a_dead_part_a_few_times_only(systemd: NotifySocket) -> None:
    """Each of its steps looks like a standstill; what moves between them is forgiven each time."""
    now_s = 0.0
    parts = {"camera": Part(lambda: now_s, limit_s=20.0), "sound": Part(lambda: now_s % 13.0, limit_s=20.0)}
    watchdog = Watchdog(ServiceManager(), parts)
    for step in range(100):
        now_s = step * 6.0
        watchdog.step(now_s, "well")
        if "STATUS=hangs: camera" in systemd.heard():
            break
    assert 20.0 < now_s < 60.0
    for _ in range(20):
        now_s += 6.0
        watchdog.step(now_s, "well")
    assert "WATCHDOG=1" not in systemd.heard()


def test_each_standstill_is_forgiven_while_all_parts_move_between(systemd: NotifySocket) -> None:
    now_s = moved_s = 0.0
    watchdog = Watchdog(ServiceManager(), {"camera": Part(lambda: now_s - moved_s, limit_s=20.0)})
    for _ in range(50):
        now_s += 28.0
        watchdog.step(now_s, "well")
        moved_s = now_s = now_s + 1.0
        watchdog.step(now_s, "well")
        assert "WATCHDOG=1" in systemd.heard()


@given(gaps_s=st.lists(st.floats(min_value=0.01, max_value=4.0), min_size=1, max_size=200))
def test_a_loop_that_steps_is_never_ended_and_pings_are_few(gaps_s: list[float]) -> None:
    """With steps at most 4 s apart, no gap between pings reaches the 30 s, and pings come at most every 10 s."""

    class Heard:
        watchdog_s = 30.0

        def __init__(self) -> None:
            self.at_s: list[float] = []
            self.now_s = 0.0

        def alive(self) -> None:
            self.at_s.append(self.now_s)

        def status(self, text: str) -> None:
            pass

    heard = Heard()
    watchdog = Watchdog(heard, {"audio": Part(lambda: 0.0, 20.0)})
    for gap_s in gaps_s:
        heard.now_s += gap_s
        watchdog.step(heard.now_s, "")
    for before_s, after_s in zip(heard.at_s, heard.at_s[1:], strict=False):
        assert 10.0 - 1e-9 <= after_s - before_s < 15.0
    assert heard.now_s - heard.at_s[-1] < 15.0
