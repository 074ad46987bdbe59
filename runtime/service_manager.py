"""What systemd is told (sd_notify(3)): that loading goes on, that all is ready, that every part still moves, the end.

Without systemd all of it is of no effect.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping

import sdnotify

_log = logging.getLogger(__name__)

# While models load, systemd is asked for so much more time, again and again; after the last of it, it may give up.
_EXTEND_S, _EXTEND_EVERY_S, _EXTEND_FOR_S = 60.0, 20.0, 1800.0


class ServiceManager:
    """The line to systemd."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Find the line.

        Args:
            environ: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID as systemd sets them.
        """
        self._notifier = sdnotify.SystemdNotifier() if environ.get("NOTIFY_SOCKET") else None
        self._watchdog_s = _watchdog_s(environ)
        self._told = ""

    @property
    def watchdog_s(self) -> float | None:
        """Within what time systemd wants a sign of life; None where it wants none."""
        return self._watchdog_s

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """For as long as this stands, systemd waits: a TensorRT engine, or CUDA's kernels, take minutes to load."""
        if self._notifier is None:
            yield
            return
        loaded = threading.Event()
        thread = threading.Thread(target=self._extend, args=(loaded,), name="systemd-extend", daemon=True)
        thread.start()
        try:
            yield
        finally:
            loaded.set()
            thread.join()

    def ready(self) -> None:
        """The service does its work from now on."""
        self._tell("READY=1")
        if self._notifier is not None and self._notifier.socket is not None:
            # From here on the loop tells, and must not wait for a manager that is busy: what finds no room is lost, and
            # a sign of life comes again.
            self._notifier.socket.setblocking(False)

    def alive(self) -> None:
        """Every part has moved lately."""
        self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`, which every user of the machine may read: nothing of feelings."""
        if text != self._told:
            self._told = text
            self._tell(f"STATUS={text}")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    def _extend(self, loaded: threading.Event) -> None:
        for _ in range(int(_EXTEND_FOR_S / _EXTEND_EVERY_S)):
            self._tell(f"EXTEND_TIMEOUT_USEC={int(_EXTEND_S * 1e6)}")
            if loaded.wait(_EXTEND_EVERY_S):
                return

    def _tell(self, state: str) -> None:
        if self._notifier is not None:
            self._notifier.notify(state)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """As sd_watchdog_enabled(3): WATCHDOG_PID, where it is set, must be ours."""
    try:
        if int(environ.get("WATCHDOG_PID", os.getpid())) != os.getpid():
            return None
        watchdog_s = int(environ.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        _log.warning("WATCHDOG_USEC or WATCHDOG_PID is no number")
        return None
    return watchdog_s if watchdog_s > 0 else None
