"""The parent's side of the protocol: starts a worker, asks it, and ends it by its pid whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emomusic_edge.config.describe import ENV_PREFIX

# Loading TensorFlow or PyTorch from a cold disk takes tens of seconds.
LOAD_DEADLINE_S = 240.0
RUN_DEADLINE_S = 180.0
_END_S = 2.0
_CHUNK_BYTES = 1 << 16
_TOLD_CHARACTERS = 200


class PeerError(Exception):
    """Why a peer was not measured, in one line."""


@dataclass(frozen=True)
class Loaded:
    """What a worker says it has loaded (peers.worker.Peer)."""

    about: str
    cases: tuple[str, ...]
    facts: dict[str, Any]


class WorkerProcess:
    """One worker; a context manager that leaves no process behind."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> None:
        """Start it.

        Args:
            name: for messages.
            command: the program and its arguments.
            log: takes what it prints beside the protocol.
            environment: its variables; None for those of this process.

        Raises:
            PeerError: it cannot be started.
        """
        self.name = name
        self._log = log
        try:
            with log.open("wb") as stderr:
                self._process = subprocess.Popen(
                    list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment
                )
        except OSError as cause:
            raise PeerError(f"{name} does not start: {cause.strerror or cause}") from cause
        self._unread = b""

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def load(self, deadline_s: float = LOAD_DEADLINE_S) -> Loaded:
        """Have it load.

        Raises:
            PeerError: it failed, died, hung or spoke no protocol.
        """
        answer = self._ask({"do": "load"}, deadline_s)
        try:
            return Loaded(str(answer["about"]), tuple(str(case) for case in answer["cases"]), dict(answer["facts"]))
        except (KeyError, TypeError, ValueError) as cause:
            raise self._no_protocol(json.dumps(answer)) from cause

    def run(self, case: str, count: int, deadline_s: float = RUN_DEADLINE_S) -> list[float]:
        """Have it run a case, and return the times in ms.

        Raises:
            PeerError: it failed, died, hung or spoke no protocol.
        """
        answer = self._ask({"do": "run", "case": case, "count": count}, deadline_s)
        times = answer.get("times_ms")
        if not isinstance(times, list) or len(times) != count or not all(_is_time(value) for value in times):
            raise self._no_protocol(json.dumps(answer))
        return [float(value) for value in times]

    def resident_mib(self) -> float | None:
        """Its VmRSS; None when it is gone."""
        return resident_mib(self.pid)

    def threads(self) -> int:
        """How many it has, those of libraries and idle ones included; 0 when it is gone."""
        return len(list(Path(f"/proc/{self.pid}/task").glob("*")))

    def cpu_s(self) -> float:
        """Processor time that its threads have used so far; 0 when it is gone."""
        used_ns = 0
        for schedule in Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                used_ns += int(schedule.read_text().split()[0])
        return used_ns / 1e9

    def close(self) -> None:
        """End it: its input ends, then by signals to its pid."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        for end in (lambda: None, self._process.terminate, self._process.kill):
            end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
                return

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: dict[str, Any], deadline_s: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as cause:
            raise self._died() from cause
        line = self._line(time.monotonic() + deadline_s, deadline_s)
        try:
            answer = json.loads(line)
        except ValueError as cause:
            raise self._no_protocol(line) from cause
        if not isinstance(answer, dict):
            raise self._no_protocol(line)
        if "error" in answer:
            raise PeerError(f"{self.name} failed: {answer['error']}")
        return answer

    def _line(self, end_s: float, deadline_s: float) -> str:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            ready, _, _ = select.select([descriptor], [], [], max(end_s - time.monotonic(), 0.0))
            if not ready:
                raise PeerError(f"{self.name} gave no answer in {deadline_s:g} s")
            read = os.read(descriptor, _CHUNK_BYTES)
            if not read:
                raise self._died()
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace")

    def _died(self) -> PeerError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f": {lines[-1][:_TOLD_CHARACTERS]}" if lines else ""
        return PeerError(f"{self.name} ended with status {self._process.returncode}{last}")

    def _no_protocol(self, line: str) -> PeerError:
        return PeerError(f"{self.name} spoke no protocol, it said {line[:_TOLD_CHARACTERS]!r}")


def plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that are settings of the service."""
    return {name: value for name, value in environ.items() if not name.upper().startswith(ENV_PREFIX)}


def resident_mib(pid: int) -> float | None:
    """VmRSS of a process in MiB; None when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, flags=re.MULTILINE)
    return int(found[1]) / 1024 if found else None


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
