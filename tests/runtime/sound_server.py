"""A sound server with a null sink, on a socket in a folder: what it plays is read from the sink's monitor."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MISSING = shutil.which("pulseaudio") is None or shutil.which("parec") is None
MAY_SKIP = MISSING and not os.environ.get("CI")
"""In the gate (CI=true) a sound server that is not there is a failure: `make test` installs it."""
WHY_MISSING = "needs pulseaudio and parec (Debian: pulseaudio, pulseaudio-utils)"


class NullSinkServer:
    """A PulseAudio server of one's own, on a socket in a folder, with nothing but a sink that plays into the void."""

    def __init__(self, folder: Path) -> None:
        assert not MISSING, WHY_MISSING
        self.socket = folder / "native"
        self.environment = os.environ | {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "PULSE_SERVER": f"unix:{self.socket}",
        }
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._server = subprocess.Popen(
            [
                "pulseaudio",
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--use-pid-file=no",
                "--disable-shm=yes",
                "--load=module-null-sink sink_name=void",
                f"--load=module-native-protocol-unix auth-anonymous=1 socket={self.socket}",
            ],
            env={key: value for key, value in self.environment.items() if key != "PULSE_SERVER"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self.socket.exists)

    @property
    def running(self) -> bool:
        """Whether its process goes on."""
        return self._server is not None and self._server.poll() is None

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def freeze(self, frozen: bool) -> None:
        """Stand still, or go on."""
        if self._server is not None:
            self._server.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def heard(self, seconds: float) -> NDArray[np.float64]:
        """What the sink plays now: [frames, 2], full scale 1."""
        with subprocess.Popen(
            ["parec", "--device=void.monitor", "--raw", "--rate=44100", "--channels=2", "--format=s16le"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as recorder:
            assert recorder.stdout is not None
            data = recorder.stdout.read(4 * int(44_100 * seconds))
            recorder.kill()
        return np.frombuffer(data[: len(data) // 4 * 4], np.int16).reshape(-1, 2) / 32768


def wait_for(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
