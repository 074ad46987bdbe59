"""A handle on the device's process: what it last told of itself, and orders to it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from broker import DEADLINE_S, wait_until
from fault_device_process import Told

_PROCESS = Path(__file__).with_name("fault_device_process.py")
_TESTS = _PROCESS.parents[2]


class Device:
    """The process; its log goes to a file, where a traceback is looked for at the end.

    Attributes:
        told: all that it told, oldest first.
    """

    def __init__(
        self,
        data_dir: Path,
        log: Path,
        announced: Path,
        settings: dict[str, Any],
        environment: dict[str, str] | None = None,
    ):
        self.told: list[Told] = []
        self._log = log
        folders = [_TESTS.parent, _TESTS, _TESTS / "runtime", _PROCESS.parent]
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, str(_PROCESS), "--data-dir", str(data_dir)),
                    *("--settings", json.dumps(settings), "--announced", str(announced)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env={**os.environ, **(environment or {}), "PYTHONPATH": os.pathsep.join(map(str, folders))},
            )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.told.append(Told(**json.loads(line)))

    @property
    def now(self) -> Told:
        """What it told last."""
        return self.told[-1] if self.told else Told(0.0, "has not told anything yet")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def faults(self) -> list[str]:
        """Lines of its log that no network should bring about."""
        text = self._log.read_text(errors="replace")
        return re.findall(r"^.*(?:Traceback|Exception in thread| ERROR | CRITICAL ).*$", text, re.MULTILINE)

    @property
    def obeyed(self) -> int:
        """How many commands it carried out, as its log tells."""
        return self.log().count(" obeyed ")

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait(self, reason: str = "") -> None:
        """Until it says that this is wrong, or that all is well."""
        wait_until(
            lambda: self.told and (reason in self.now.reason if reason else self.now.reason == ""),
            lambda: f"the device to say {reason!r}; it says {self.now.reason!r}; {self.log()[-2000:]}",
        )

    def order(self, **what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self._process.wait(DEADLINE_S)

    def kill(self) -> None:
        """End it at once, as a crash does: its will is due 5 s later."""
        self._process.kill()
        self._process.wait(DEADLINE_S)

    def close(self) -> int:
        """Ask it to stop; its exit code."""
        if self.alive:
            self.order(stop=True)
        try:
            return self._process.wait(DEADLINE_S)
        finally:
            self._process.kill()
