"""Processes of the fleet benchmark: what each costs, and one line of JSON for each question that it is asked."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import resource
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_START_WITHIN_S = 10.0


def raise_file_limit() -> int:
    """Allow as many open files as the system lets us; a client of paho needs three. Inherited by what is started."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used, in itself and for it in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def machine_cpu_s() -> float:
    """Processor seconds that everything on this machine has used, but for waiting."""
    user, nice, system, _idle, _waiting, interrupt, soft_interrupt = map(
        int, Path("/proc/stat").read_text().split(maxsplit=8)[1:8]
    )
    return (user + nice + system + interrupt + soft_interrupt) / _TICKS_PER_S


def rss_mb(pid: int) -> float:
    """Memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


class Helper:
    """A module of the benchmark as a process of its own; `ask` sends it a word and reads the answer."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def read(self) -> dict[str, Any]:
        """The next line that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a process of the benchmark ended with code {self._process.wait()}")
        told: dict[str, Any] = json.loads(line)
        return told

    def ask(self, word: str) -> dict[str, Any]:
        """Say a word and read the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self.read()

    def close(self) -> None:
        """End it: it sees its input end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self._process.kill()
        self._process.wait()


def tell(**facts: object) -> None:
    """In a helper: answer."""
    print(json.dumps(facts), flush=True)


def asked(within_s: float) -> str | None:
    """In a helper: the next word, empty when there will be none any more, None when none came in time."""
    if not select.select([sys.stdin], [], [], max(within_s, 0.0))[0]:
        return None
    return sys.stdin.readline().strip()


def answer_questions(report: Callable[[str], dict[str, object]]) -> None:
    """In a helper whose work goes on elsewhere: answer until nobody asks any more."""
    while word := asked(3600.0):
        tell(**report(word))


@contextlib.contextmanager
def mosquitto(folder: Path, *more: str) -> Iterator[tuple[int, int]]:
    """A mosquitto on loopback, keeping nothing.

    Args:
        folder: for its config.
        more: lines for its config.

    Yields:
        Its port and its process id.
    """
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("mosquitto is not installed; type: sudo apt-get install mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = folder / "mosquitto.conf"
    lines = [
        f"user {getpass.getuser()}",
        "persistence false",
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        *more,
    ]
    config.write_text("\n".join([*lines, "sys_interval 1", *more, ""]))
    process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        end_s = time.monotonic() + _START_WITHIN_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > end_s:
                raise SystemExit("mosquitto does not start")
            time.sleep(0.02)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)
