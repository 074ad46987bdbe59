"""What systemd tells of the service, in words for a person: running or not, since when, why not, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from emomusic_edge import errors
from emomusic_edge.errors import EmomusicError, TwinError

PROPERTIES = (
    *("LoadState", "ActiveState", "SubState", "UnitFileState", "Result", "ExecMainStatus", "ExecMainCode", "MainPID"),
    *("NRestarts", "StatusText", "MemoryCurrent", "ActiveEnterTimestamp", "InactiveEnterTimestamp", "FragmentPath"),
)

# Result= of a service, systemd.exec(5) and systemd.service(5).
_RESULTS = {
    "timeout": "it did not start or stop in time",
    "signal": "it was killed by a signal",
    "core-dump": "it crashed",
    "watchdog": "it stopped making progress and was ended by the watchdog",
    "start-limit-hit": "it failed sixty times in an hour and stays down",
    "oom-kill": "the machine ran out of memory",
    "resources": "systemd could not set it up",
    "protocol": "it ended before it was ready",
}
# Exit codes of systemd itself (systemd.exec(5)) whose cause is known here.
_SYSTEMD_CODES = {
    203: "the program or its Python is not where the unit says",
    216: "one of the groups video, audio and render is missing",
    217: "the user emomusic-edge is missing",
    243: "/etc/emomusic-edge/mqtt-password could not be read",
}
# StartLimitBurst= of the unit.
_STARTS_AT_MOST = 60
# CLD_EXITED of wait(2): only then is the status an exit code.
_EXITED = "1"
_NOT_SET = ("", "[not set]", "n/a", str(2**64 - 1))


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How the service is.

    Attributes:
        properties: what `systemctl show` gave, by name.
        user: whether it is a user's own service.
        program: how to call this program, for lines to be copied.
        last_result: how it ended when it failed the last time, as the journal of this boot names it; empty where it
            did not, or where the journal is not this user's to read.
    """

    properties: Mapping[str, str]
    user: bool = False
    program: str = "emomusic-edge"
    last_result: str = ""

    @property
    def installed(self) -> bool:
        """Whether there is a unit."""
        return self.properties.get("LoadState") not in ("not-found", None)

    @property
    def running(self) -> bool:
        """Whether it is ready and working."""
        return self.properties.get("ActiveState") == "active"

    def lines(self) -> Iterator[tuple[str, str]]:
        """What and how, a line each."""
        told = self.properties
        if not self.installed:
            yield "service", "not installed"
            yield "to do", f"{self._sudo}{self.program} service install{self._flag}"
            return
        yield "service", self._now()
        if told.get("LoadState") == "masked":
            yield "to do", f"{self._sudo}systemctl{self._flag} unmask emomusic-edge"
            return
        yield "at boot", "started" if told.get("UnitFileState") == "enabled" else "not started"
        if told.get("StatusText"):
            yield "it says", told["StatusText"]
        if told.get("MemoryCurrent", "") not in _NOT_SET:
            yield "memory", f"{int(told['MemoryCurrent']) / 2**20:.0f} MB"
        if int(told.get("NRestarts") or 0):
            yield "restarts", f"{told['NRestarts']} since it was last started by hand; {self._last()}"
        reason = self._reason()
        if reason:
            yield "because", reason
        if not self.running:
            yield "to do", self._to_do()

    def _last(self) -> str:
        """Why it was started again; while it runs systemd itself no longer tells."""
        if not self.last_result:
            return f"why: {self._sudo}{self.program} service logs{self._flag}"
        return f"the last time because {_RESULTS.get(self.last_result, f'it ended with {self.last_result}')}"

    def _now(self) -> str:
        told = self.properties
        since = told.get("ActiveEnterTimestamp" if self.running else "InactiveEnterTimestamp", "")
        words = {
            "active": "running",
            "activating": "starting" if told.get("SubState") != "auto-restart" else "waiting to be started again",
            "deactivating": "stopping",
            "failed": "failed",
        }
        state = told.get("ActiveState", "")
        if told.get("LoadState") == "masked":
            return "masked: systemd is told never to start it"
        return words.get(state, "stopped") + (f" since {since}" if since not in _NOT_SET else "")

    def _reason(self) -> str:
        """Why it ended the last time; nothing where it runs well or was stopped."""
        told = self.properties
        if self.running or told.get("Result") in ("success", None, ""):
            return ""
        code = int(told.get("ExecMainStatus") or 0)
        parts = [_RESULTS["start-limit-hit"]] if self._given_up(code) else []
        parts.append(_RESULTS.get(told["Result"], "") if told["Result"] != "start-limit-hit" else "")
        if told.get("ExecMainCode") == _EXITED and code:
            parts.append(f"exit code {code}: {meaning_of(code)}")
        return "; ".join(part for part in parts if part) or told["Result"]

    def _given_up(self, code: int) -> bool:
        """Whether the limit of starts was met: the result is then that of the last run, if there was one."""
        told = self.properties
        if told.get("ActiveState") != "failed" or code == TwinError.exit_code:
            return False
        return told.get("Result") == "start-limit-hit" or int(told.get("NRestarts") or 0) >= _STARTS_AT_MOST

    def _to_do(self) -> str:
        systemctl = f"{self._sudo}systemctl{self._flag}"
        if self.properties.get("ActiveState") in ("failed", "activating"):
            logs = f"{self._sudo}{self.program} service logs{self._flag}"
            # systemd refuses a start by hand too until the interval of the limit is over, unless it is told to forget.
            failed = self.properties.get("ActiveState") == "failed"
            first = f"{systemctl} reset-failed emomusic-edge; " if failed else ""
            return f"{logs}; then: {first}{systemctl} restart emomusic-edge"
        return f"{systemctl} start emomusic-edge"

    @property
    def _sudo(self) -> str:
        return "" if self.user else "sudo "

    @property
    def _flag(self) -> str:
        return " --user" if self.user else ""


def parse_properties(
    text: str, *, user: bool = False, program: str = "emomusic-edge", last_result: str = ""
) -> ServiceState:
    """What `systemctl show` printed: a `Name=value` a line."""
    properties = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return ServiceState(properties, user, program, last_result)


def parse_last_result(text: str) -> str:
    """The result in systemd's line `emomusic-edge.service: Failed with result 'watchdog'.`; empty without one."""
    told = re.findall(r"Failed with result '([\w-]+)'", text)
    return told[-1] if told else ""


def meaning_of(code: int) -> str:
    """What an exit code of the service means, in a few words; docs/errors.md has them all."""
    if code in _SYSTEMD_CODES:
        return _SYSTEMD_CODES[code]
    for error in vars(errors).values():
        own = isinstance(error, type) and issubclass(error, EmomusicError) and error is not EmomusicError
        if own and error.exit_code == code:
            first = (error.__doc__ or "").strip().splitlines()[0].rstrip(".")
            return first[:1].lower() + first[1:]
    return "see docs/errors.md"
