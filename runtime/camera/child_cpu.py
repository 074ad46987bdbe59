"""How much processor time the processes that read a camera have used, one after the other."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class ChildCpu:
    """Adds up children that follow one another; what one used after it was last looked at is not in it."""

    def __init__(self) -> None:
        self._ended_s = 0.0
        self._present_s = 0.0

    def total_s(self, child: subprocess.Popen[bytes] | None) -> float:
        """CPU seconds of all so far, never less than before.

        Args:
            child: the present one. One that was waited for is not looked at: its number may be another's by now.
        """
        if child is not None and child.returncode is None:
            self._present_s = max(self._present_s, process_cpu_s(child.pid))
        return self._ended_s + self._present_s

    def end(self, child: subprocess.Popen[bytes] | None) -> None:
        """The present one is about to be ended; what comes next is another."""
        self._ended_s, self._present_s = self.total_s(child), 0.0


def process_cpu_s(pid: int) -> float:
    """User and system time of all threads of a process, in ticks of 10 ms (proc_pid_stat(5)); 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
